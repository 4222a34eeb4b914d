-- A credential is remembered by the hash of its secret, which nothing can turn back into the secret. Revoking is a
-- mark, so that the audit can still say whose key it was; a project or a user that is revoked lets nobody in.
create table api_keys (
    id            text        not null,
    project_id    text        not null,
    user_id       text,
    role          text        not null,
    name          text        not null,
    prefix        text        not null,
    secret_sha256 bytea       not null,
    created_at    timestamptz not null default now(),
    expires_at    timestamptz,
    revoked_at    timestamptz,
    last_used_at  timestamptz,
    constraint api_keys_pkey primary key (id),
    constraint api_keys_id_prefix check (id like 'key\_%'),
    constraint api_keys_project_fkey foreign key (project_id) references projects (id) on delete restrict,
    constraint api_keys_user_fkey foreign key (project_id, user_id)
        references users (project_id, id) on delete restrict,
    constraint api_keys_project_id_unique unique (project_id, id),
    constraint api_keys_secret_unique unique (secret_sha256),
    constraint api_keys_secret_length check (octet_length(secret_sha256) = 32),
    constraint api_keys_role_known check (role in ('admin', 'service', 'user')),
    constraint api_keys_user_where_role_is_user check ((role = 'user') = (user_id is not null)),
    constraint api_keys_name_length check (char_length(name) between 1 and 256)
);

create index api_keys_user_idx on api_keys (project_id, user_id) where user_id is not null;

alter table projects add column revoked_at timestamptz;
alter table users add column revoked_at timestamptz;
alter table projects add constraint projects_name_is_no_id check (name not like 'proj\_%');
