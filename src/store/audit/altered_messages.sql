-- The question of each opened turn and the answer of each closed one, held against the hash that the audit keeps.
select coalesce(messages.id, events.subject_id) as "id!"
from audit_events events
left join messages on messages.project_id = events.project_id and messages.run_id = events.run_id
                  and messages.role = case events.action when 'turn.opened' then 'user' else 'assistant' end
where events.project_id = $1 and events.content_sha256 is not null
  and sha256(convert_to(messages.content::text, 'UTF8')) is distinct from events.content_sha256
order by events.id limit 100
