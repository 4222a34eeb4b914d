-- Agents are named and versioned. What decides an answer lives in agent_versions, whose rows never change,
-- so that every run can say for ever which configuration it used. A deleted agent is a tombstone.
create table agents (
    id         text        not null,
    project_id text        not null,
    user_id    text,
    name       text,
    version    integer     not null,
    created_at timestamptz not null default now(),
    deleted_at timestamptz,
    constraint agents_pkey primary key (id),
    constraint agents_id_prefix check (id like 'asst\_%'),
    constraint agents_project_id_unique unique (project_id, id),
    constraint agents_project_fkey foreign key (project_id) references projects (id) on delete restrict,
    constraint agents_user_fkey foreign key (project_id, user_id) references users (project_id, id) on delete restrict,
    constraint agents_name_length check (char_length(name) between 1 and 256),
    constraint agents_name_is_no_id check (name not like 'asst\_%'),
    constraint agents_version_positive check (version >= 1)
);

create unique index agents_living_name_unique on agents (project_id, name) where deleted_at is null;
create index agents_user_idx on agents (project_id, user_id) where user_id is not null;

create table agent_versions (
    agent_id         text             not null,
    version          integer          not null,
    project_id       text             not null,
    model            text             not null,
    description      text,
    instructions     text,
    temperature      double precision,
    top_p            double precision,
    reasoning_effort text,
    tools            jsonb            not null default '[]',
    response_format  jsonb,
    metadata         jsonb            not null default '{}',
    created_at       timestamptz      not null default now(),
    constraint agent_versions_pkey primary key (agent_id, version),
    constraint agent_versions_agent_fkey foreign key (project_id, agent_id)
        references agents (project_id, id) on delete restrict,
    constraint agent_versions_version_positive check (version >= 1),
    constraint agent_versions_model_given check (model <> ''),
    constraint agent_versions_temperature_range check (temperature between 0 and 2),
    constraint agent_versions_top_p_range check (top_p between 0 and 1),
    constraint agent_versions_tools_array check (jsonb_typeof(tools) = 'array'),
    constraint agent_versions_metadata_object check (jsonb_typeof(metadata) = 'object')
);

-- The agent's current version always exists; deferred, because agent and first version are written together.
alter table agents
    add constraint agents_current_version_fkey foreign key (id, version)
        references agent_versions (agent_id, version) on delete restrict deferrable initially deferred;

create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only: % is not allowed', tg_table_name, lower(tg_op)
        using errcode = 'insufficient_privilege';
end
$$;

create trigger agent_versions_immutable before update or delete on agent_versions
    for each row execute function refuse_change();
create trigger agent_versions_not_truncated before truncate on agent_versions
    for each statement execute function refuse_change();
