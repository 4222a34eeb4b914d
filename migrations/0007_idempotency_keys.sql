-- A key names one act of one caller. For a turn it points to the run, whose own primary key then lets only one
-- attempt open it; for every other act it keeps the answer.
create table idempotency_keys (
    project_id  text        not null,
    scope       text        not null,
    key         text        collate "C" not null,
    route       text        not null,
    fingerprint text        not null,
    run_id      text,
    answer      jsonb,
    created_at  timestamptz not null default now(),
    expires_at  timestamptz not null,
    constraint idempotency_keys_pkey primary key (project_id, scope, key),
    constraint idempotency_keys_project_fkey foreign key (project_id) references projects (id) on delete cascade,
    constraint idempotency_keys_length check (char_length(key) between 1 and 300),
    constraint idempotency_keys_run_or_answer check (num_nonnulls(run_id, answer) = 1)
);

create index idempotency_keys_expiry_idx on idempotency_keys (expires_at);
