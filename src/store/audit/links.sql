-- Links with what is hashed of their events, spelled out here: who verifies trusts no function of the database's.
select seals.number as "number!", seals.event_id as "event_id!", seals.hash as "hash!",
       case when events.id is not null then jsonb_build_array(
           events.id, events.project_id, (extract(epoch from events.occurred_at) * 1000000)::bigint, events.actor,
           events.who, events.action, events.subject_id, events.thread_id, events.run_id, events.outcome, events.code,
           events.request_id, events.provider_request_id, events.provider_response_id,
           encode(events.content_sha256, 'hex'))::text end as "event?"
from audit_seals seals
left join audit_events events on events.id = seals.event_id
where seals.project_id = $1 and seals.number > $2
order by seals.number limit $3
