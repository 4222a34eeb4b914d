-- How a run stands, with its answer where it has one.
select runs.status as "status!", runs.attempt as "attempt!", runs.thread_id as "thread_id!: ThreadId",
       runs.agent_id as "agent_id!: AgentId", runs.error_code, runs.error_message,
       runs.usage as "usage?: Json<Usage>", answer.id as "message_id?: MessageId",
       answer.content as "content?: Json<Content>"
from runs
left join messages answer on answer.run_id = runs.id and answer.role = 'assistant'
where runs.project_id = $1 and runs.id = $2
