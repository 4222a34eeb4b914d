-- Who did something is more than a name: the key, the user, the role and the address belong to it. What was said is not
-- copied into the audit, but its hash is, so that a message can be held against it. `actor` remains for events that were
-- written before.
alter table audit_events
    add column who jsonb,
    add column content_sha256 bytea,
    alter column actor drop not null,
    add constraint audit_events_who_is_known check (num_nonnulls(who, actor) = 1),
    add constraint audit_events_who_object check (jsonb_typeof(who) = 'object' and who ? 'actor'),
    add constraint audit_events_content_sha256_length check (octet_length(content_sha256) = 32);
