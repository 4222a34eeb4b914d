-- Forgets keys past their time, replicas that are gone, and the places in line that nobody stands at: those of replicas
-- that are gone, and those of this replica that no turn of it waits at, since the database went away in between.
-- Durable questions among them are taken over by this replica.
with expired_keys as (
    delete from idempotency_keys
    where (project_id, scope, key) in (select project_id, scope, key from idempotency_keys
                                       where expires_at <= now() order by expires_at limit 1000)
), past_usage as (
    delete from token_usage where starts_on < current_date - 62
), gone_replicas as (
    delete from replicas where alive_until < now() - interval '1 minute'
), left_tickets as (
    select turn_tickets.ticket, turn_tickets.question is not null as is_durable
    from turn_tickets left join replicas on replicas.id = turn_tickets.replica_id and replicas.alive_until > now()
    where replicas.id is null
       or replicas.id = $1 and turn_tickets.run_id <> all($2::text[])
          and turn_tickets.created_at < now() - interval '1 second'
), given_up as (
    delete from turn_tickets using left_tickets
    where turn_tickets.ticket = left_tickets.ticket and not left_tickets.is_durable
)
update turn_tickets set replica_id = $1, created_at = now()
from left_tickets where turn_tickets.ticket = left_tickets.ticket and left_tickets.is_durable
returning project_id as "project_id: ProjectId", thread_id as "thread_id: ThreadId", run_id as "run_id: RunId",
          question as "question!: Json<Question>"
