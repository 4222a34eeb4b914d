-- What people read in SQL: views with stable names, a comment on each column, and a role that can read them and nothing
-- else. Where the owner may not make roles, `docs/inspect.md` has the lines for whoever may.
create schema inspect;
comment on schema inspect is 'Stable, documented views for administrators and auditors, version 1; columns are only ever added.';

create view inspect.conversations as
select threads.id as thread_id, projects.name as project, users.external_id as user_name, agents.name as agent,
       threads.last_position as messages, threads.created_at as begun_at,
       (select max(messages.created_at) from messages where messages.thread_id = threads.id) as last_message_at,
       threads.project_id, threads.user_id, threads.agent_id
from threads
join projects on projects.id = threads.project_id
left join users on users.id = threads.user_id
left join agents on agents.id = threads.agent_id;

create view inspect.messages as
select messages.id as message_id, messages.thread_id, messages.position, messages.role,
       (select string_agg(part -> 'text' ->> 'value', '' order by at)
        from jsonb_array_elements(messages.content) with ordinality parts (part, at)
        where part ->> 'type' = 'text') as text,
       messages.created_at as said_at, users.external_id as user_name, projects.name as project, messages.run_id,
       messages.content, messages.project_id, threads.user_id, threads.agent_id
from messages
join threads on threads.id = messages.thread_id
join projects on projects.id = messages.project_id
left join users on users.id = threads.user_id;

create view inspect.turns as
select runs.id as run_id, runs.thread_id, runs.status, runs.error_code, runs.error_message, agents.name as agent,
       runs.agent_version, users.external_id as user_name, projects.name as project, runs.created_at as opened_at,
       runs.finished_at, extract(epoch from runs.finished_at - runs.created_at)::numeric(12, 3) as duration_s,
       runs.attempt as attempts, runs.provider_model as model, (runs.usage ->> 'input_tokens')::bigint as input_tokens,
       (runs.usage ->> 'output_tokens')::bigint as output_tokens, (runs.usage ->> 'total_tokens')::bigint as total_tokens,
       runs.provider_request_id, runs.provider_response_id, runs.request_id, runs.key_id, runs.project_id, runs.user_id,
       runs.agent_id
from runs
join projects on projects.id = runs.project_id
join agents on agents.id = runs.agent_id
left join users on users.id = runs.user_id;

create view inspect.agents as
select agents.id as agent_id, agents.name as agent, versions.version, versions.version = agents.version as is_current,
       versions.model, versions.description, versions.instructions, versions.temperature, versions.top_p,
       versions.reasoning_effort, versions.tools, versions.response_format, versions.metadata, versions.on_busy,
       versions.created_at as made_at, agents.deleted_at, users.external_id as owner, projects.name as project,
       agents.project_id, agents.user_id
from agents
join agent_versions versions on versions.agent_id = agents.id
join projects on projects.id = agents.project_id
left join users on users.id = agents.user_id;

create view inspect.users as
select users.id as user_id, users.external_id as user_name, projects.name as project, users.created_at as appeared_at,
       users.revoked_at, users.project_id
from users join projects on projects.id = users.project_id;

create view inspect.usage_daily as
select (runs.created_at at time zone 'UTC')::date as day, projects.name as project, users.external_id as user_name,
       agents.name as agent, runs.provider_model as model, count(*) as turns,
       count(*) filter (where runs.status <> 'completed') as turns_without_answer,
       sum((runs.usage ->> 'input_tokens')::bigint) as input_tokens,
       sum((runs.usage ->> 'output_tokens')::bigint) as output_tokens,
       sum((runs.usage ->> 'total_tokens')::bigint) as total_tokens, runs.project_id, runs.user_id, runs.agent_id
from runs
join projects on projects.id = runs.project_id
join agents on agents.id = runs.agent_id
left join users on users.id = runs.user_id
group by 1, 2, 3, 4, 5, runs.project_id, runs.user_id, runs.agent_id;

create view inspect.audit as
select events.id as event_id, events.occurred_at, coalesce(events.who ->> 'actor', events.actor) as actor,
       events.who ->> 'role' as role, events.who ->> 'user_id' as user_id, events.who ->> 'key_id' as key_id,
       events.who ->> 'address' as address, events.action, events.subject_id, events.thread_id, events.run_id,
       events.outcome, events.code, events.request_id, events.provider_request_id, events.provider_response_id,
       encode(events.content_sha256, 'hex') as content_sha256, seals.number as link, encode(seals.hash, 'hex') as link_hash,
       projects.name as project, events.project_id
from audit_events events
left join projects on projects.id = events.project_id
left join audit_seals seals on seals.event_id = events.id;

create view inspect.stuck_runs as
select runs.id as run_id, runs.thread_id, runs.status, runs.lease_owner as replica, runs.lease_until,
       now() - runs.lease_until as overdue, runs.created_at as opened_at, runs.project_id
from runs
where runs.status in ('queued', 'in_progress', 'requires_action', 'cancelling')
  and (runs.lease_until < now() or runs.lease_until is null);

create view inspect.provider_errors as
select runs.id as run_id, runs.finished_at as failed_at, runs.error_code, runs.error_message, runs.provider_request_id,
       agents.name as agent, versions.model, runs.thread_id, projects.name as project, runs.project_id
from runs
join projects on projects.id = runs.project_id
join agents on agents.id = runs.agent_id
join agent_versions versions on versions.agent_id = runs.agent_id and versions.version = runs.agent_version
where runs.status in ('failed', 'incomplete') and runs.error_code not in ('interrupted', 'internal');

create index runs_failed_idx on runs (project_id, finished_at) where status in ('failed', 'incomplete');

do $$
declare
    comments text[] := array[
        'conversations|Every thread.', 'messages|Everything that was said.', 'turns|Every run: a message and its answer.',
        'agents|Every version of every agent, deleted ones included.', 'users|The end users of every project.',
        'usage_daily|Turns and tokens by day (UTC), project, user, agent and model.',
        'audit|Every act, with its link in the chain of its project.',
        'stuck_runs|Unfinished runs that nobody executes; empty, but for the moment before the next sweep.',
        'provider_errors|Turns that the provider did not answer.'];
    columns text[] := array[
        'thread_id|The thread.', 'project|The project''s name.', 'user_name|The project''s own id of the user; empty: the project''s.',
        'agent|The agent''s name.', 'messages|How many messages the thread has.', 'begun_at|When the thread began.',
        'last_message_at|When something was last said.', 'project_id|The project''s id.', 'user_id|The user''s id.',
        'agent_id|The agent''s id.', 'message_id|The message''s id.', 'position|The place in the thread, from 1 without a gap.',
        'role|user or assistant; in the audit, what the credential may do.', 'text|What was said, text only.',
        'said_at|When it was recorded.', 'run_id|The run that the message asked for, or that answered.',
        'content|All parts of the message, in OpenAI''s shape.', 'status|The run''s state, as the Assistants API names it.',
        'error_code|The stable code of a failure.', 'error_message|Its sentence.',
        'agent_version|The version of the agent that answered.', 'opened_at|When the turn was opened.',
        'finished_at|When it ended; empty: not yet.', 'duration_s|Seconds from opening to end.',
        'attempts|How often it was executed.', 'model|The model, as the provider names it.',
        'input_tokens|Tokens of instructions and history.', 'output_tokens|Tokens of the answer.',
        'total_tokens|Their sum, as the provider states it.', 'provider_request_id|The provider''s id of the request.',
        'provider_response_id|The provider''s id of the answer.', 'request_id|The id of the request to this service.',
        'key_id|The API key that was shown.', 'version|The number of the version, from 1.',
        'is_current|Whether it is the agent''s version now.', 'description|What people read about the agent.',
        'instructions|The system prompt.', 'temperature|Sampling temperature.', 'top_p|Nucleus sampling.',
        'reasoning_effort|How much the model may think.', 'tools|The agent''s tools.',
        'response_format|The shape that answers must have.', 'metadata|Pairs of the owner''s own.',
        'on_busy|What a message does that finds its thread busy.', 'made_at|When the version was made.',
        'deleted_at|When the agent was deleted.', 'owner|The one user whose agent it is; empty: the project shares it.',
        'appeared_at|When the user first appeared.', 'revoked_at|When the user was shut out.', 'day|The day, UTC.',
        'turns|How many turns were opened.', 'turns_without_answer|How many of them have no whole answer.',
        'event_id|The event''s number in the deployment.', 'occurred_at|When, by the database''s clock.',
        'actor|Who: key:, jwt:, open, cli, serve or sweeper.', 'address|Where the request came from.',
        'action|What was done.', 'subject_id|On what, by id.', 'outcome|ok or failed.', 'code|The code of a failure.',
        'content_sha256|SHA-256 of what was said, in hex.', 'link|The place in the chain of its project; empty: not sealed yet.',
        'link_hash|The hash of that link, in hex.', 'replica|The replica that held the run.',
        'lease_until|Until when it held it.', 'overdue|How long nobody has.', 'failed_at|When the turn failed.'];
    entry text;
    target record;
begin
    foreach entry in array comments loop
        execute format('comment on view inspect.%I is %L', split_part(entry, '|', 1), split_part(entry, '|', 2));
    end loop;
    foreach entry in array columns loop
        for target in select table_name from information_schema.columns
                      where table_schema = 'inspect' and column_name = split_part(entry, '|', 1) loop
            execute format('comment on column inspect.%I.%I is %L', target.table_name, split_part(entry, '|', 1),
                           split_part(entry, '|', 2));
        end loop;
    end loop;
end
$$;

do $$
begin
    create role threadkeep_inspector nologin;
exception
    when duplicate_object or unique_violation then null;
    when insufficient_privilege then raise notice 'the role threadkeep_inspector is not made: see docs/inspect.md';
end
$$;

do $$
begin
    grant usage on schema inspect to threadkeep_inspector;
    grant select on all tables in schema inspect to threadkeep_inspector;
exception
    when undefined_object then null;
end
$$;
