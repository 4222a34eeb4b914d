-- Every event becomes a link of its project's chain a moment after its commit: the link's hash covers the event and the
-- link before, so an event that is removed, altered, inserted or moved later breaks the chain. Nothing of a turn waits for
-- it; one sealer at a time, in any replica, makes the links.
create table audit_seals (
    project_id text        not null,
    number     bigint      not null,
    event_id   bigint      not null,
    hash       bytea       not null,
    sealed_at  timestamptz not null default now(),
    constraint audit_seals_pkey primary key (project_id, number),
    constraint audit_seals_event_unique unique (event_id),
    constraint audit_seals_number_positive check (number >= 1),
    constraint audit_seals_hash_length check (octet_length(hash) = 32)
);

create trigger audit_seals_append_only before update or delete on audit_seals
    for each row execute function refuse_change();
create trigger audit_seals_not_truncated before truncate on audit_seals
    for each statement execute function refuse_change();

create table audit_heads (
    project_id text   not null,
    number     bigint not null,
    hash       bytea  not null,
    constraint audit_heads_pkey primary key (project_id),
    constraint audit_heads_number_positive check (number >= 1)
);

-- Ids are handed out before the commit, so a lower one may appear later: gaps are remembered and looked at again until they
-- are filled, or so old that nothing can fill them.
create table audit_sealer (
    only_row       boolean not null default true,
    sealed_through bigint  not null default 0,
    constraint audit_sealer_pkey primary key (only_row),
    constraint audit_sealer_only_row check (only_row)
);
insert into audit_sealer default values;

create table audit_gaps (
    event_id bigint      not null,
    seen_at  timestamptz not null default now(),
    constraint audit_gaps_pkey primary key (event_id)
);

-- The hash of an event: SHA-256 of the text of this JSON array; times are microseconds since 1970, hashes are hex.
create function audit_event_hash(event audit_events) returns bytea language sql stable parallel safe as $$
    select sha256(convert_to(jsonb_build_array(
        event.id, event.project_id, (extract(epoch from event.occurred_at) * 1000000)::bigint, event.actor, event.who,
        event.action, event.subject_id, event.thread_id, event.run_id, event.outcome, event.code, event.request_id,
        event.provider_request_id, event.provider_response_id, encode(event.content_sha256, 'hex'))::text, 'UTF8'))
$$;

create function audit_link(before bytea, event bytea) returns bytea language sql immutable parallel safe as $$
    select case when before is null then event else sha256(before || event) end
$$;

-- The running end of a chain; the first value is the end so far.
create aggregate audit_chain (bytea) (sfunc = audit_link, stype = bytea);
