-- Makes links of the events that have none, in the order of their ids within each pass, for whoever holds the sealer's lock.
-- A project's chain begins with the hash of its id.
with sealer as (
    select sealed_through from audit_sealer
), fresh as (
    select events.* from sealer join lateral (
        select audit_events.id, audit_events.project_id, audit_event_hash(audit_events) as hash from audit_events
        where audit_events.id > sealer.sealed_through order by id limit $1) events on true
), filled as (
    select audit_events.id, audit_events.project_id, audit_event_hash(audit_events) as hash
    from sealer join audit_gaps on true join audit_events on audit_events.id = audit_gaps.event_id
), pending as (
    select * from fresh union all select * from filled
), ends as (
    select projects.project_id, coalesce(heads.number, 0) as number,
           coalesce(heads.hash, sha256(convert_to(projects.project_id, 'UTF8'))) as hash
    from (select distinct project_id from pending) projects
    left join audit_heads heads on heads.project_id = projects.project_id
), links as (
    select project_id, id,
           audit_chain(hash) over (partition by project_id order by id rows unbounded preceding) as hash,
           max(number) over (partition by project_id) + row_number() over (partition by project_id order by id) - 1
               as number
    from (select project_id, 0 as id, hash, number from ends
          union all
          select project_id, id, hash, null from pending) steps
), sealed as (
    insert into audit_seals (project_id, number, event_id, hash)
    select project_id, number, id, hash from links where id > 0 order by project_id, number
), moved as (
    insert into audit_heads (project_id, number, hash)
    select distinct on (project_id) project_id, number, hash from links where id > 0 order by project_id, number desc
    on conflict (project_id) do update set number = excluded.number, hash = excluded.hash
), remembered as (
    insert into audit_gaps (event_id)
    select generate_series(sealed_through + 1, (select max(id) from fresh)) from sealer
    except select id from fresh
    on conflict do nothing
), forgotten as (
    delete from audit_gaps
    using sealer
    where audit_gaps.event_id in (select id from filled) or audit_gaps.seen_at < now() - interval '10 minutes'
), advanced as (
    update audit_sealer set sealed_through = (select max(id) from fresh) where exists (select from fresh)
)
select count(*) as "fresh!" from fresh
