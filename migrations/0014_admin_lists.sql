-- An administrator pages through all threads of a project, newest first; without this the list sorts them all each time.
create index threads_project_idx on threads (project_id, created_at, id);
