-- Whose run it is: limits count by user and by key, and an auditor asks. Runs of a deployment without credentials
-- have neither.
alter table runs
    add column user_id text,
    add column key_id text,
    add constraint runs_user_fkey foreign key (project_id, user_id)
        references users (project_id, id) on delete restrict,
    add constraint runs_key_fkey foreign key (project_id, key_id)
        references api_keys (project_id, id) on delete restrict;

create index runs_user_idx on runs (project_id, user_id, created_at) where user_id is not null;
create index runs_key_idx on runs (project_id, key_id, created_at) where key_id is not null;
