-- Asks whichever replica executes a thread's turn to stop it; a turn that is being stopped already is found, too, also by
-- a request that waits for another's commit.
with asked as (
    select threads.id, threads.project_id from threads
    where threads.id = $1 and threads.project_id = $2 and ($3::text is null or threads.user_id = $3)
), current as (
    select runs.id, runs.status
    from asked join runs on runs.thread_id = asked.id and runs.status in ('in_progress', 'cancelling')
    for update of runs
), stopped as (
    update runs set status = 'cancelling'
    from current where runs.id = current.id and current.status = 'in_progress'
    returning runs.id, runs.project_id, runs.thread_id, pg_notify('threadkeep', runs.thread_id)
), audited as (
    insert into audit_events (project_id, who, action, subject_id, thread_id, run_id, outcome, request_id)
    select project_id, $4::jsonb, 'turn.cancelled', id, thread_id, id, 'ok', $5 from stopped
)
select current.id as "run_id?: RunId"
from asked left join current on true
