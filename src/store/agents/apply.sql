-- Makes the living agent of a name have a configuration: creates it, gives it a new version, or finds it equal, with
-- the audit event. Two replicas that apply the same file at once make one change.
with wanted as (
    select $5::text as model, $6::text as description, $7::text as instructions,
           $8::double precision as temperature, $9::double precision as top_p,
           $10::text as reasoning_effort, $11::jsonb as tools, $12::jsonb as response_format,
           $13::jsonb as metadata, $15::text as on_busy
), present as (
    select agents.id, agents.version,
           (versions.model, versions.description, versions.instructions, versions.temperature, versions.top_p,
            versions.reasoning_effort, versions.tools, versions.response_format, versions.metadata,
            versions.on_busy)
           is distinct from
           (wanted.model, wanted.description, wanted.instructions, wanted.temperature, wanted.top_p,
            wanted.reasoning_effort, wanted.tools, wanted.response_format, wanted.metadata,
            wanted.on_busy) as differs
    from agents
    join agent_versions versions on versions.agent_id = agents.id and versions.version = agents.version
    cross join wanted
    where agents.project_id = $1 and agents.name = $2 and agents.user_id is not distinct from $16::text and agents.deleted_at is null
    for update of agents
), created as (
    insert into agents (id, project_id, user_id, name, version)
    select $3, $1, $16, $2, 1 where not exists (select from present)
    on conflict (project_id, coalesce(user_id, ''), name) where deleted_at is null do nothing
    returning id, version
), changed as (
    update agents set version = agents.version + 1
    from present where agents.id = present.id and present.differs
    returning agents.id, agents.version
), written as (
    select id, version, 'agent.created' as action from created
    union all
    select id, version, 'agent.changed' from changed
), versioned as (
    insert into agent_versions (agent_id, version, project_id, model, description, instructions, temperature,
                                top_p, reasoning_effort, tools, response_format, metadata, on_busy)
    select written.id, written.version, $1, wanted.* from written cross join wanted
), audited as (
    insert into audit_events (project_id, who, action, subject_id, outcome, request_id)
    select $1, $4::jsonb, written.action, written.id, 'ok', $14 from written
)
select (select version from created) as created, (select version from changed) as changed
