-- An administrator pages through all threads and users of a project, newest first; without these the lists sort them all
-- each time.
create index threads_project_idx on threads (project_id, created_at, id);
create index users_project_idx on users (project_id, created_at, id);
