-- What the subjects of a project with limits on tokens spent since this day and this month began, where nothing of it is
-- counted yet; a turn that ends at this very moment may be missing.
insert into token_usage (project_id, subject, period, starts_on, shard, tokens)
select runs.project_id, named.subject, periods.period, periods.starts_on, 0,
       sum((runs.usage ->> 'total_tokens')::bigint)
from (select 'day' as period, date_trunc('day', now() at time zone 'UTC')::date as starts_on
      union all select 'month', date_trunc('month', now() at time zone 'UTC')::date) periods
join runs on runs.project_id = $1 and runs.usage is not null
         and runs.created_at >= periods.starts_on::timestamp at time zone 'UTC'
cross join lateral (values (runs.project_id, ''), (runs.user_id, 'each_user'), (runs.key_id, 'each_key'))
     named (subject, fallback)
where named.subject is not null
  and exists (select from limits where limits.project_id = runs.project_id
              and limits.subject in (named.subject, named.fallback)
              and case periods.period when 'day' then limits.tokens_per_day else limits.tokens_per_month end is not null)
  and not exists (select from token_usage counted
                  where counted.project_id = runs.project_id and counted.subject = named.subject
                    and counted.period = periods.period and counted.starts_on = periods.starts_on)
group by 1, 2, 3, 4
on conflict do nothing
