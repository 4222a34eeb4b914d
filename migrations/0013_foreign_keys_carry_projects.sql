-- A row of one project can never refer to a row of another, whatever a query forgets: every foreign key between what
-- projects own carries the project.
alter table runs add constraint runs_project_id_unique unique (project_id, id);
alter table messages
    drop constraint messages_run_fkey,
    add constraint messages_run_fkey foreign key (project_id, run_id)
        references runs (project_id, id) on delete restrict;

alter table agent_versions add constraint agent_versions_project_id_unique unique (project_id, agent_id, version);
alter table runs
    drop constraint runs_agent_version_fkey,
    add constraint runs_agent_version_fkey foreign key (project_id, agent_id, agent_version)
        references agent_versions (project_id, agent_id, version) on delete restrict;
alter table agents
    drop constraint agents_current_version_fkey,
    add constraint agents_current_version_fkey foreign key (project_id, id, version)
        references agent_versions (project_id, agent_id, version) on delete restrict deferrable initially deferred;
