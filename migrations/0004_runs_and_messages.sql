-- A run is one execution of an agent version on a thread; the partial unique index is the promise that a thread
-- has at most one unfinished run, whichever replica asks. Lease and attempt decide who may end a run.
create table runs (
    id                   text        not null,
    project_id           text        not null,
    thread_id            text        not null,
    agent_id             text        not null,
    agent_version        integer     not null,
    status               text        not null,
    attempt              integer     not null default 1,
    lease_owner          text,
    lease_until          timestamptz,
    request_id           text,
    error_code           text,
    error_message        text,
    provider_model       text,
    provider_request_id  text,
    provider_response_id text,
    usage                jsonb,
    created_at           timestamptz not null default now(),
    started_at           timestamptz,
    finished_at          timestamptz,
    constraint runs_pkey primary key (id),
    constraint runs_id_prefix check (id like 'run\_%'),
    constraint runs_project_fkey foreign key (project_id) references projects (id) on delete restrict,
    constraint runs_thread_fkey foreign key (project_id, thread_id) references threads (project_id, id) on delete restrict,
    constraint runs_agent_version_fkey foreign key (agent_id, agent_version)
        references agent_versions (agent_id, version) on delete restrict,
    constraint runs_status_known check (status in ('queued', 'in_progress', 'requires_action', 'cancelling',
        'cancelled', 'failed', 'completed', 'incomplete', 'expired')),
    constraint runs_attempt_positive check (attempt >= 1),
    constraint runs_finished_at_when_finished check (
        (status in ('queued', 'in_progress', 'requires_action', 'cancelling')) = (finished_at is null)),
    constraint runs_lease_while_executed check (
        (status in ('in_progress', 'cancelling')) = (lease_until is not null)
        and (lease_owner is null) = (lease_until is null)),
    constraint runs_failure_has_code check (status not in ('failed', 'incomplete') or error_code is not null),
    constraint runs_usage_object check (jsonb_typeof(usage) = 'object')
);

create unique index runs_one_unfinished_per_thread on runs (thread_id)
    where status in ('queued', 'in_progress', 'requires_action', 'cancelling');
create index runs_thread_idx on runs (thread_id, created_at);
create index runs_project_idx on runs (project_id, created_at);
create index runs_agent_version_idx on runs (agent_id, agent_version);

create table messages (
    id         text        not null,
    project_id text        not null,
    thread_id  text        not null,
    position   bigint      not null,
    role       text        not null,
    content    jsonb       not null,
    run_id     text,
    created_at timestamptz not null default now(),
    constraint messages_pkey primary key (id),
    constraint messages_id_prefix check (id like 'msg\_%'),
    constraint messages_position_unique unique (thread_id, position),
    constraint messages_thread_fkey foreign key (project_id, thread_id)
        references threads (project_id, id) on delete restrict,
    constraint messages_run_fkey foreign key (run_id) references runs (id) on delete restrict,
    constraint messages_position_positive check (position >= 1),
    constraint messages_role_known check (role in ('user', 'assistant')),
    constraint messages_content_array check (jsonb_typeof(content) = 'array')
);

create index messages_run_idx on messages (run_id);
