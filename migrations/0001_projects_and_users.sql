-- Projects own everything, so they come first, and one exists from the start: a deployment without
-- credentials puts all it does into the default project. Users are a project's own end users.
create table projects (
    id         text        not null,
    name       text        not null,
    created_at timestamptz not null default now(),
    constraint projects_pkey primary key (id),
    constraint projects_id_prefix check (id like 'proj\_%'),
    constraint projects_name_unique unique (name),
    constraint projects_name_length check (char_length(name) between 1 and 256)
);

create table users (
    id          text        not null,
    project_id  text        not null,
    external_id text        not null,
    created_at  timestamptz not null default now(),
    constraint users_pkey primary key (id),
    constraint users_id_prefix check (id like 'user\_%'),
    constraint users_project_fkey foreign key (project_id) references projects (id) on delete restrict,
    constraint users_project_id_unique unique (project_id, id),
    constraint users_external_id_unique unique (project_id, external_id),
    constraint users_external_id_length check (char_length(external_id) between 1 and 256)
);

insert into projects (id, name) values ('proj_default', 'default');
