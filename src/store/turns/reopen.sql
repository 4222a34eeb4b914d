-- Continues a failed turn, unless a limit of its project, user or key is reached: the same run and the same question,
-- with the next attempt. The question is answered as the last message, whatever was said since.
with judged as materialized (
    select answered.*
    from (select array_agg(project_id) as projects, array_agg(user_id) as users, array_agg(key_id) as keys,
                 array_agg(thread_id) as threads
          from runs where project_id = $6 and id = $1 and status = 'failed') asking
    cross join lateral admit_turns(array[1], asking.projects, asking.users, asking.keys, asking.threads, true) answered
), reopened as (
    update runs
    set status = 'in_progress', attempt = attempt + 1, lease_owner = $2,
        lease_until = now() + $3::bigint * interval '1 millisecond', finished_at = null, error_code = null,
        error_message = null, usage = null, provider_model = null, provider_request_id = null,
        provider_response_id = null
    where project_id = $6 and id = $1 and status = 'failed' and not exists (select from judged)
      and exists (select from agents where agents.id = runs.agent_id and agents.deleted_at is null)
      and not exists (select from runs other where other.thread_id = runs.thread_id
                      and other.status in ('queued', 'in_progress', 'requires_action', 'cancelling'))
    returning *
), place as (
    select threads.last_position from reopened join threads on threads.id = reopened.thread_id for update of threads
), audited as (
    insert into audit_events (project_id, who, action, subject_id, thread_id, run_id, outcome, request_id)
    select project_id, $4::jsonb, 'turn.continued', id, thread_id, id, 'ok', $5 from reopened
)
select reopened.attempt as "attempt?",
       reopened.thread_id as "thread_id?: ThreadId",
       reopened.agent_id as "agent_id?: AgentId",
       versions.model as "model?",
       versions.instructions as "instructions?",
       versions.temperature as "temperature?",
       versions.top_p as "top_p?",
       versions.reasoning_effort as "reasoning_effort?",
       versions.tools as "tools?: Json<Vec<serde_json::Value>>",
       versions.response_format as "response_format?",
       limited.kind as "limit_of?",
       limited.reached as "limit_reached?",
       limited.allowed as "limit_allowed?",
       limited.retry_ms as "limit_retry_ms?",
       (select last_position from place) as "last_position?",
       history.last_position as "seen_position?",
       history.roles as "roles?",
       history.contents as "contents?: Vec<Json<Content>>"
from reopened
full join (select * from judged where reached is not null) limited on false
left join agent_versions versions on versions.agent_id = reopened.agent_id and versions.version = reopened.agent_version
left join lateral (
    select max(entry.position) as last_position, array_agg(entry.role) as roles,
           array_agg(entry.content) as contents
    from (select position, role, content from messages where messages.thread_id = reopened.thread_id
          order by messages.run_id is not distinct from reopened.id, position) entry
) history on reopened.id is not null
