-- Ends the runs whose lease ran out, whoever held it, and frees their threads; rows that another replica is sweeping
-- are left to it.
with expired as (
    select id, status, lease_owner from runs
    where lease_until < now()
    order by lease_until, id limit $2
    for update skip locked
), ended as (
    update runs
    set status = case when expired.status = 'cancelling' then 'cancelled' else 'failed' end,
        error_code = case when expired.status = 'cancelling' then 'cancelled' else 'interrupted' end,
        error_message = case when expired.status = 'cancelling' then 'The turn was cancelled.'
                             else 'The process that executed the turn stopped before its answer was recorded.' end,
        finished_at = now(), lease_owner = null, lease_until = null
    from expired where runs.id = expired.id
    returning runs.id, runs.project_id, runs.thread_id, runs.attempt, runs.error_code, runs.request_id,
              runs.agent_id, runs.agent_version
), audited as (
    insert into audit_events (project_id, who, action, subject_id, thread_id, run_id, outcome, code, request_id)
    select project_id, jsonb_build_object('actor', $1::text), 'turn.swept', id, thread_id, id, 'failed', error_code,
           request_id
    from ended
)
select ended.project_id as "project_id!: ProjectId", ended.id as "run_id!: RunId", ended.attempt as "attempt!",
       (ended.error_code = 'interrupted' and versions.tools = '[]') as "repeatable!",
       pg_notify('threadkeep', ended.thread_id) as "notified?"
from ended
join agent_versions versions on versions.agent_id = ended.agent_id and versions.version = ended.agent_version
order by ended.id
