-- One row per act. The triggers keep the record append-only for every writer, the service itself included;
-- a foreign key would tie the record's life to the rows it speaks of, so there is none.
create table audit_events (
    id                   bigint      generated always as identity,
    project_id           text        not null,
    occurred_at          timestamptz not null default now(),
    actor                text        not null,
    action               text        not null,
    subject_id           text        not null,
    thread_id            text,
    run_id               text,
    outcome              text        not null,
    code                 text,
    request_id           text,
    provider_request_id  text,
    provider_response_id text,
    constraint audit_events_pkey primary key (id),
    constraint audit_events_outcome_known check (outcome in ('ok', 'failed')),
    constraint audit_events_failure_has_code check ((outcome = 'failed') = (code is not null))
);

create index audit_events_project_idx on audit_events (project_id, id);

create trigger audit_events_append_only before update or delete on audit_events
    for each row execute function refuse_change();
create trigger audit_events_not_truncated before truncate on audit_events
    for each statement execute function refuse_change();
