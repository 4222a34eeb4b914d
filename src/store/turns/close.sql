-- Closes any number of turns, each only for the attempt that holds its run: ends the run, numbers and writes the
-- answer where there is one, writes the audit event, counts the tokens where they are limited (no provider's nonsense is
-- too large to be counted), frees the thread, and wakes who stands in line for it.
with ended as (
    select *
    from unnest($1::text[], $2::integer[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                $9::text[], $10::text[], $11::text[], $12::text[], $13::text[]) with ordinality
         as ended (run_id, attempt, lease_owner, status, error_code, error_message, message_id, content, usage,
                   provider_model, provider_request_id, provider_response_id, who, ordinal)
), held as (
    select runs.id, ended.ordinal
    from ended
    join runs on runs.id = ended.run_id and runs.attempt = ended.attempt and runs.lease_owner = ended.lease_owner
             and runs.status in ('in_progress', 'cancelling')
    order by runs.id for update of runs
), closed as (
    update runs
    set status = ended.status, finished_at = now(), lease_owner = null, lease_until = null,
        error_code = ended.error_code, error_message = ended.error_message, usage = ended.usage::jsonb,
        provider_model = ended.provider_model, provider_request_id = ended.provider_request_id,
        provider_response_id = ended.provider_response_id
    from held join ended on ended.ordinal = held.ordinal
    where runs.id = held.id
    returning runs.id, runs.project_id, runs.thread_id, runs.user_id, runs.key_id, runs.request_id, ended.ordinal
), advanced as (
    update threads set last_position = threads.last_position + 1
    from closed join ended on ended.run_id = closed.id
    where threads.id = closed.thread_id and ended.message_id is not null
    returning closed.id as run_id, threads.last_position as position
), answers as (
    insert into messages (id, project_id, thread_id, position, role, content, run_id)
    select ended.message_id, closed.project_id, closed.thread_id, advanced.position, 'assistant', ended.content::jsonb,
           closed.id
    from closed
    join ended on ended.run_id = closed.id
    join advanced on advanced.run_id = closed.id
), spent as (
    insert into token_usage (project_id, subject, period, starts_on, shard, tokens)
    select closed.project_id, named.subject, periods.period,
           date_trunc(periods.period, now() at time zone 'UTC')::date, pg_backend_pid() % 64,
           sum(least((ended.usage::jsonb ->> 'total_tokens')::numeric, 1000000000000))::bigint
    from closed
    join ended on ended.run_id = closed.id and ended.usage is not null
    cross join lateral (values (closed.project_id, ''), (closed.user_id, 'each_user'), (closed.key_id, 'each_key'))
         named (subject, fallback)
    cross join (values ('day'), ('month')) periods (period)
    where named.subject is not null
      and exists (select from limits where limits.project_id = closed.project_id
                  and limits.subject in (named.subject, named.fallback)
                  and case periods.period when 'day' then limits.tokens_per_day else limits.tokens_per_month end
                      is not null)
    group by 1, 2, 3
    order by 1, 2, 3
    on conflict (project_id, subject, period, starts_on, shard)
        do update set tokens = token_usage.tokens + excluded.tokens
), audited as (
    insert into audit_events (project_id, who, action, subject_id, thread_id, run_id, outcome, code, request_id,
                              provider_request_id, provider_response_id, content_sha256)
    select closed.project_id, ended.who::jsonb, 'turn.closed', closed.id, closed.thread_id, closed.id,
           case when ended.error_code is null then 'ok' else 'failed' end, ended.error_code, closed.request_id,
           ended.provider_request_id, ended.provider_response_id,
           sha256(convert_to(ended.content::jsonb::text, 'UTF8'))
    from closed join ended on ended.run_id = closed.id
    order by closed.ordinal
)
select (closed.id is not null) as "closed!",
       case when exists (select from turn_tickets line where line.thread_id = closed.thread_id)
            then pg_notify('threadkeep', closed.thread_id) end as "notified?"
from ended left join closed on closed.id = ended.run_id
order by ended.ordinal
