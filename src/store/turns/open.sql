-- Opens any number of turns: claims each thread by inserting its unfinished run (the partial unique index decides,
-- also against replicas whose transactions this statement's snapshot does not show), numbers and writes the user
-- message, writes the audit event, and answers the pinned agent version with the history.
with asked as (
    select *
    from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                $9::text[], $10::text[], $11::bigint[]) with ordinality
         as asked (project_id, user_id, thread_id, agent, run_id, message_id, content, actor, request_id, lease_owner,
                   lease_ms, ordinal)
), found as (
    select asked.*, threads.id as found_thread_id, agents.id as agent_id, agents.version as agent_version,
           agents.deleted_at is not null as agent_deleted,
           coalesce(agents.id = asked.agent or agents.name = asked.agent, false) as agent_matches
    from asked
    left join threads on threads.id = asked.thread_id and threads.project_id = asked.project_id
                     and (asked.user_id is null or threads.user_id = asked.user_id)
    left join agents on agents.id = threads.agent_id
), opened as (
    insert into runs (id, project_id, thread_id, agent_id, agent_version, status, attempt, lease_owner, lease_until,
                      request_id, started_at)
    select run_id, project_id, thread_id, agent_id, agent_version, 'in_progress', 1, lease_owner,
           now() + lease_ms * interval '1 millisecond', request_id, now()
    from found
    where agent_matches and not agent_deleted
    order by thread_id, ordinal
    on conflict (thread_id) where status in ('queued', 'in_progress', 'requires_action', 'cancelling') do nothing
    returning id, thread_id
), advanced as (
    update threads set last_position = threads.last_position + 1
    from opened where threads.id = opened.thread_id
    returning opened.id as run_id, threads.last_position as position
), questions as (
    insert into messages (id, project_id, thread_id, position, role, content, run_id)
    select found.message_id, found.project_id, found.thread_id, advanced.position, 'user', found.content::jsonb,
           found.run_id
    from found join advanced on advanced.run_id = found.run_id
), audited as (
    insert into audit_events (project_id, actor, action, subject_id, thread_id, run_id, outcome, request_id)
    select found.project_id, found.actor, 'turn.opened', found.run_id, found.thread_id, found.run_id, 'ok',
           found.request_id
    from found join opened on opened.id = found.run_id
    order by found.ordinal
)
select case
           when opened.id is not null then 'opened'
           when found.found_thread_id is null then 'thread_not_found'
           when found.agent_matches and found.agent_deleted then 'agent_deleted'
           when found.agent_matches then 'thread_busy'
           when exists (select from agents named
                        where named.project_id = found.project_id
                          and (named.id = found.agent or named.name = found.agent and named.deleted_at is null))
               then 'agent_mismatch'
           else 'agent_not_found'
       end as "verdict!",
       found.agent_id as "agent_id?: AgentId",
       advanced.position as "position?",
       versions.model as "model?",
       versions.instructions as "instructions?",
       versions.temperature as "temperature?",
       versions.top_p as "top_p?",
       versions.reasoning_effort as "reasoning_effort?",
       versions.tools as "tools?: Json<Vec<serde_json::Value>>",
       versions.response_format as "response_format?",
       history.last_position as "seen_position?",
       history.roles as "roles?",
       history.contents as "contents?: Vec<Json<Content>>"
from found
left join opened on opened.id = found.run_id
left join advanced on advanced.run_id = opened.id
left join agent_versions versions on opened.id is not null
                                 and versions.agent_id = found.agent_id and versions.version = found.agent_version
left join lateral (
    select max(earlier.position) as last_position, array_agg(earlier.role) as roles,
           array_agg(earlier.content) as contents
    from (select position, role, content from messages where messages.thread_id = opened.thread_id
          order by position) earlier
) history on opened.id is not null
order by found.ordinal
