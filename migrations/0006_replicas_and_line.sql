-- Several processes share the threads: each says that it lives, and who finds a thread busy stands in line. A ticket
-- counts only while its replica lives, so that a dead process holds nobody up; a durable one carries its question,
-- so that any replica can ask it.
create table replicas (
    id          text        not null,
    started_at  timestamptz not null default now(),
    alive_until timestamptz not null,
    constraint replicas_pkey primary key (id)
);

create table turn_tickets (
    ticket     bigint      generated always as identity,
    project_id text        not null,
    thread_id  text        not null,
    run_id     text        not null,
    replica_id text        not null,
    question   jsonb,
    created_at timestamptz not null default now(),
    constraint turn_tickets_pkey primary key (ticket),
    constraint turn_tickets_run_unique unique (run_id),
    constraint turn_tickets_thread_fkey foreign key (project_id, thread_id)
        references threads (project_id, id) on delete cascade,
    constraint turn_tickets_question_object check (jsonb_typeof(question) = 'object')
);

create index turn_tickets_thread_idx on turn_tickets (thread_id, ticket);
create index turn_tickets_replica_idx on turn_tickets (replica_id);

create index runs_lease_idx on runs (lease_owner, lease_until) where lease_until is not null;
