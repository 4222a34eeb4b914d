-- Opens any number of turns: claims each thread by inserting its unfinished run (the partial unique index decides,
-- also against replicas whose transactions this statement's snapshot does not show), unless a limit of its project, user
-- or key is reached, numbers and writes the user message, writes the audit event, and answers the pinned agent version
-- with the history. A turn that may not open yet is given its place in line, where its policy says so. Whatever writes
-- a row reads what was judged first, so every lock of the limits is held before the first lock of a row.
with asked as (
    select *
    from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                $9::text[], $10::text[], $11::bigint[], $12::text[], $13::text[], $14::text[], $15::text[],
                $16::text[], $17::text[], $18::bigint[], $19::text[]) with ordinality
         as asked (project_id, user_id, thread_id, agent, new_run_id, message_id, content, who, request_id,
                   lease_owner, lease_ms, on_busy, on_busy_default, scope, key, key_family, fingerprint, key_ms,
                   key_id, ordinal)
), found as (
    select asked.*, threads.id as found_thread_id, threads.user_id as thread_user_id, agents.id as agent_id, agents.version as agent_version,
           agents.deleted_at is not null as agent_deleted,
           coalesce(agents.id = asked.agent or agents.name = asked.agent, false) as agent_matches,
           coalesce(asked.on_busy, versions.on_busy, asked.on_busy_default) as policy,
           prior.run_id as prior_run_id,
           coalesce(prior.run_id, asked.new_run_id) as run_id,
           coalesce(prior.fingerprint <> asked.fingerprint or prior.route <> '/openai/chat', false) as key_reused,
           earlier.id is not null as opened_earlier
    from asked
    left join threads on threads.id = asked.thread_id and threads.project_id = asked.project_id
                     and (asked.user_id is null or threads.user_id = asked.user_id)
    left join agents on agents.id = threads.agent_id
    left join agent_versions versions on versions.agent_id = agents.id and versions.version = agents.version
    left join lateral (
        select keys.run_id, keys.fingerprint, keys.route from idempotency_keys keys
        where keys.project_id = asked.project_id and keys.scope = asked.scope and keys.expires_at > now()
          and keys.key >= coalesce(asked.key_family, asked.key)
          and keys.key <= coalesce(asked.key_family || '~', asked.key)
        order by keys.created_at desc limit 1
    ) prior on asked.key is not null
    left join runs earlier on earlier.id = coalesce(prior.run_id, asked.new_run_id)
), sound as (
    select found.*, coalesce(own.replica_id = found.lease_owner, false) as holds_ticket,
           own.question is not null as is_accepted,
           exists (select from turn_tickets line join replicas on replicas.id = line.replica_id
                   where line.thread_id = found.found_thread_id and replicas.alive_until > now()
                     and line.ticket < coalesce(own.ticket, 9223372036854775807)) as stands_behind
    from found
    left join turn_tickets own on own.run_id = found.run_id
    where found.agent_matches and not found.agent_deleted and not found.key_reused and not found.opened_earlier
), judged as materialized (
    select answered.*
    from (select array_agg(ordinal order by ordinal) as ordinals, array_agg(project_id order by ordinal) as projects,
                 array_agg(thread_user_id order by ordinal) as users, array_agg(key_id order by ordinal) as keys,
                 array_agg(thread_id order by ordinal) as threads
          from sound where not stands_behind) asking
    cross join lateral admit_turns(asking.ordinals, asking.projects, asking.users, asking.keys, asking.threads, false)
         answered
), limited as (
    select * from judged where reached is not null
), keyed as (
    insert into idempotency_keys (project_id, scope, key, route, fingerprint, run_id, expires_at)
    select project_id, scope, key, '/openai/chat', fingerprint, run_id, now() + key_ms * interval '1 millisecond'
    from sound
    where key is not null and prior_run_id is null and ordinal not in (select ordinal from limited)
    order by project_id, scope, key
    on conflict (project_id, scope, key) do update
        set route = excluded.route, fingerprint = excluded.fingerprint, run_id = excluded.run_id, answer = null,
            created_at = now(), expires_at = excluded.expires_at
        where idempotency_keys.expires_at <= now()
    returning run_id
), ready as (
    select sound.*
    from sound left join keyed on keyed.run_id = sound.run_id
    where sound.ordinal not in (select ordinal from limited)
      and (sound.key is null or sound.prior_run_id is not null or keyed.run_id is not null)
), opened as (
    insert into runs (id, project_id, thread_id, user_id, key_id, agent_id, agent_version, status, attempt,
                      lease_owner, lease_until, request_id, started_at)
    select run_id, project_id, thread_id, thread_user_id, key_id, agent_id, agent_version, 'in_progress', 1,
           lease_owner, now() + lease_ms * interval '1 millisecond', request_id, now()
    from ready
    where not stands_behind and ordinal not in (select ordinal from judged)
    order by thread_id, ordinal
    on conflict do nothing
    returning id, thread_id
), advanced as (
    update threads set last_position = threads.last_position + 1
    from opened where threads.id = opened.thread_id
    returning opened.id as run_id, threads.last_position as position
), questions as (
    insert into messages (id, project_id, thread_id, position, role, content, run_id)
    select ready.message_id, ready.project_id, ready.thread_id, advanced.position, 'user', ready.content::jsonb,
           ready.run_id
    from ready join advanced on advanced.run_id = ready.run_id
), audited as (
    insert into audit_events (project_id, who, action, subject_id, thread_id, run_id, outcome, request_id, content_sha256)
    select ready.project_id, ready.who::jsonb, 'turn.opened', ready.run_id, ready.thread_id, ready.run_id, 'ok',
           ready.request_id, sha256(convert_to(ready.content::jsonb::text, 'UTF8'))
    from ready join opened on opened.id = ready.run_id
    order by ready.ordinal
), served as (
    delete from turn_tickets
    where run_id in (select id from opened union all select run_id from found where opened_earlier
                     union all select sound.run_id from sound join limited on limited.ordinal = sound.ordinal
                     where not sound.is_accepted)
), lined_up as (
    insert into turn_tickets (project_id, thread_id, run_id, replica_id, question)
    select ready.project_id, ready.thread_id, ready.run_id, ready.lease_owner,
           case when ready.policy = 'queue' then jsonb_build_object(
               'user_id', ready.user_id, 'key_id', ready.key_id, 'agent', ready.agent,
               'message_id', ready.message_id, 'content', ready.content::jsonb, 'actor', ready.who::jsonb ->> 'actor',
               'request_id', ready.request_id) end
    from ready left join opened on opened.id = ready.run_id
    where opened.id is null and not ready.holds_ticket and ready.policy in ('wait', 'queue', 'replace')
    order by ready.ordinal
    on conflict (run_id) do update set replica_id = excluded.replica_id, created_at = now()
), replaced as (
    update runs set status = 'cancelling'
    from ready left join opened on opened.id = ready.run_id
    where opened.id is null and not ready.holds_ticket and ready.policy = 'replace'
      and runs.thread_id = ready.thread_id and runs.status = 'in_progress' and runs.id <> ready.run_id
    returning runs.id, runs.project_id, runs.thread_id, ready.who, ready.request_id,
              pg_notify('threadkeep', runs.thread_id)
), replacing_audited as (
    insert into audit_events (project_id, who, action, subject_id, thread_id, run_id, outcome, request_id)
    select project_id, who::jsonb, 'turn.cancelled', id, thread_id, id, 'ok', request_id from replaced
)
select case
           when opened.id is not null then 'opened'
           when found.found_thread_id is null then 'thread_not_found'
           when found.agent_matches and found.key_reused then 'key_reused'
           when found.agent_matches and found.opened_earlier then 'opened_earlier'
           when found.agent_matches and found.agent_deleted then 'agent_deleted'
           when limited.ordinal is not null and limited_turn.is_accepted then 'later'
           when limited.ordinal is not null then 'limited'
           when found.agent_matches and ready.ordinal is null then 'again'
           when found.agent_matches and found.policy = 'reject' then 'thread_busy'
           when found.agent_matches then 'in_line'
           when exists (select from agents named
                        where named.project_id = found.project_id
                          and (named.user_id is null or found.user_id is null or named.user_id = found.user_id)
                          and (named.id = found.agent or named.name = found.agent and named.deleted_at is null))
               then 'agent_mismatch'
           else 'agent_not_found'
       end as "verdict!",
       found.run_id as "run_id!: RunId",
       found.policy as "policy?",
       found.agent_id as "agent_id?: AgentId",
       advanced.position as "position?",
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
       history.last_position as "seen_position?",
       history.roles as "roles?",
       history.contents as "contents?: Vec<Json<Content>>"
from found
left join limited on limited.ordinal = found.ordinal
left join sound limited_turn on limited_turn.ordinal = limited.ordinal
left join ready on ready.ordinal = found.ordinal
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
