-- Asks whichever replica executes a thread's turn to stop it; a turn that is being stopped already is found, too.
with asked as (
    select threads.id, threads.project_id from threads
    where threads.id = $1 and threads.project_id = $2 and ($3::text is null or threads.user_id = $3)
), stopped as (
    update runs set status = 'cancelling'
    from asked where runs.thread_id = asked.id and runs.status = 'in_progress'
    returning runs.id, runs.project_id, runs.thread_id
), audited as (
    insert into audit_events (project_id, actor, action, subject_id, thread_id, run_id, outcome, request_id)
    select project_id, $4, 'turn.cancelled', id, thread_id, id, 'ok', $5 from stopped
)
select coalesce(stopped.id, stopping.id) as "run_id?: RunId",
       case when stopped.id is not null then pg_notify('threadkeep', asked.id) end as "notified?"
from asked
left join stopped on true
left join runs stopping on stopping.thread_id = asked.id and stopping.status = 'cancelling'
