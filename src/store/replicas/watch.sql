-- What happened that somebody in this replica waits for: a run of ours shall stop, a thread is free and its line's
-- first is ours, a run that somebody follows has ended. Who lost the place in line, since this replica was taken for
-- dead, counts as first as well, and sees to it.
select 'stop' as "kind!", runs.id as "run_id!: RunId"
from runs
where runs.lease_owner = $1 and runs.lease_until is not null and runs.status = 'cancelling'
union all
select 'first', head.run_id
from (select distinct on (line.thread_id) line.thread_id, line.run_id, line.replica_id
      from turn_tickets line join replicas on replicas.id = line.replica_id and replicas.alive_until > now()
      where line.thread_id = any($2::text[])
      order by line.thread_id, line.ticket) head
where head.replica_id = $1
  and not exists (select from runs where runs.thread_id = head.thread_id
                  and runs.status in ('queued', 'in_progress', 'requires_action', 'cancelling'))
union all
select 'first', awaited.run_id
from unnest($3::text[]) awaited (run_id)
where not exists (select from turn_tickets where turn_tickets.run_id = awaited.run_id)
  and not exists (select from runs where runs.id = awaited.run_id)
union all
select 'ended', runs.id
from runs
where runs.id = any($3::text[]) and runs.finished_at is not null
