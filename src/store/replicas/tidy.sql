-- Forgets keys past their time, replicas that are gone, and their places in line; questions that they left are taken
-- over by this replica.
with expired_keys as (
    delete from idempotency_keys
    where (project_id, scope, key) in (select project_id, scope, key from idempotency_keys
                                       where expires_at <= now() order by expires_at limit 1000)
), gone_replicas as (
    delete from replicas where alive_until < now() - interval '1 minute'
), left_tickets as (
    delete from turn_tickets
    where question is null and not exists (select from replicas where replicas.id = turn_tickets.replica_id
                                           and replicas.alive_until > now())
)
update turn_tickets set replica_id = $1
where question is not null and not exists (select from replicas where replicas.id = turn_tickets.replica_id
                                           and replicas.alive_until > now())
returning project_id as "project_id: ProjectId", thread_id as "thread_id: ThreadId", run_id as "run_id: RunId",
          question as "question!: Json<Question>"
