-- A thread is one conversation. last_position numbers its messages without a gap; whoever appends a message
-- raises it first, which serialises writers of one thread and of no other.
create table threads (
    id            text        not null,
    project_id    text        not null,
    user_id       text,
    agent_id      text,
    last_position bigint      not null default 0,
    metadata      jsonb       not null default '{}',
    created_at    timestamptz not null default now(),
    constraint threads_pkey primary key (id),
    constraint threads_id_prefix check (id like 'thread\_%'),
    constraint threads_project_id_unique unique (project_id, id),
    constraint threads_project_fkey foreign key (project_id) references projects (id) on delete restrict,
    constraint threads_user_fkey foreign key (project_id, user_id) references users (project_id, id) on delete restrict,
    constraint threads_agent_fkey foreign key (project_id, agent_id) references agents (project_id, id) on delete restrict,
    constraint threads_last_position_positive check (last_position >= 0),
    constraint threads_metadata_object check (jsonb_typeof(metadata) = 'object')
) with (fillfactor = 80);

create index threads_user_idx on threads (project_id, user_id, created_at) where user_id is not null;
create index threads_agent_idx on threads (project_id, agent_id);
