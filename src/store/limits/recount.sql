-- Counts what the subjects of a limit on tokens that is about to be set have spent since this day and this month began,
-- where nobody has counted it until now. Counters that are kept already are left alone: those who close turns write them.
-- Turns that end before the limit is committed, but after this statement began, are missing.
with fresh as (
    select periods.period, periods.starts_on, named.subject, named.tokens
    from (select 'day' as period, $3::boolean as is_wanted, date_trunc('day', now() at time zone 'UTC')::date as starts_on
          union all select 'month', $4, date_trunc('month', now() at time zone 'UTC')::date) periods
    cross join lateral (
        select named.subject,
               sum(least((runs.usage ->> 'total_tokens')::numeric, 1000000000000))::bigint as tokens
        from runs
        cross join lateral (values (runs.project_id, ''), (runs.user_id, 'each_user'), (runs.key_id, 'each_key'))
             named (subject, fallback)
        where runs.project_id = $1 and runs.usage is not null
          and runs.created_at >= periods.starts_on::timestamp at time zone 'UTC' - interval '2 days'
          and runs.finished_at >= periods.starts_on::timestamp at time zone 'UTC'
          and $2 in (named.subject, named.fallback)
          and not exists (select from limits where limits.project_id = runs.project_id
                          and limits.subject in (named.subject, named.fallback)
                          and case periods.period when 'day' then limits.tokens_per_day
                              else limits.tokens_per_month end is not null)
        group by named.subject
    ) named
    where periods.is_wanted
), forgotten as (
    delete from token_usage using fresh
    where token_usage.project_id = $1 and token_usage.subject = fresh.subject and token_usage.period = fresh.period
      and token_usage.starts_on = fresh.starts_on and token_usage.shard <> -1
)
insert into token_usage (project_id, subject, period, starts_on, shard, tokens)
select $1, subject, period, starts_on, -1, tokens from fresh
order by subject, period
on conflict (project_id, subject, period, starts_on, shard) do update set tokens = excluded.tokens
