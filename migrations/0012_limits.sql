-- How much a project, a user or a key may ask for. The opening statement decides, with every replica's turns in sight:
-- one statement has one snapshot, which shows nothing of what others commit meanwhile, so the counting is a function,
-- whose every query takes a fresh one, behind locks that last until the commit.
create table limits (
    project_id          text        not null,
    subject             text        not null,
    requests_per_minute integer,
    turns_concurrent    integer,
    tokens_per_day      bigint,
    tokens_per_month    bigint,
    changed_at          timestamptz not null default now(),
    constraint limits_pkey primary key (project_id, subject),
    constraint limits_project_fkey foreign key (project_id) references projects (id) on delete cascade,
    constraint limits_subject_known check (
        subject in (project_id, 'each_user', 'each_key') or subject like 'user\_%' or subject like 'key\_%'),
    constraint limits_some check (
        num_nonnulls(requests_per_minute, turns_concurrent, tokens_per_day, tokens_per_month) > 0),
    constraint limits_not_negative check (
        least(requests_per_minute, turns_concurrent, tokens_per_day, tokens_per_month) >= 0)
);

-- What was spent, for subjects with a limit on tokens; in shards, so that those who close turns at the same moment do not
-- wait for each other. Days and months are UTC's.
create table token_usage (
    project_id text     not null,
    subject    text     not null,
    period     text     not null,
    starts_on  date     not null,
    shard      smallint not null,
    tokens     bigint   not null,
    constraint token_usage_pkey primary key (project_id, subject, period, starts_on, shard),
    constraint token_usage_project_fkey foreign key (project_id) references projects (id) on delete cascade,
    constraint token_usage_period_known check (period in ('day', 'month'))
);

create index token_usage_start_idx on token_usage (starts_on);

create index runs_unfinished_idx on runs (project_id, user_id, key_id)
    where status in ('queued', 'in_progress', 'requires_action', 'cancelling');

-- How the limits of one subject stand at this moment; the minute is measured from this transaction's own time, which the
-- runs that it opens will have. A kind is 'project', 'user' or 'key'.
create function limits_now(of_project text, kind text, of_subject text)
returns table (turns_left bigint, requests_left bigint, requests_free_at timestamptz, is_spent_for text, rule limits)
language plpgsql volatile rows 1 as $$
declare
    minute_ago timestamptz := now() - interval '1 minute';
    today date := (clock_timestamp() at time zone 'UTC')::date;
    found bigint;
begin
    select limits.* into rule from limits
    where limits.project_id = of_project and limits.subject in (of_subject, 'each_' || kind)
    order by limits.subject = of_subject desc limit 1;
    if rule.project_id is null then
        return;
    end if;
    if rule.turns_concurrent is not null then
        select count(*) into found from runs
        where runs.project_id = of_project and (kind <> 'user' or runs.user_id = of_subject)
          and (kind <> 'key' or runs.key_id = of_subject)
          and runs.status in ('queued', 'in_progress', 'requires_action', 'cancelling');
        turns_left := rule.turns_concurrent - found;
    end if;
    if rule.requests_per_minute is not null then
        if kind = 'project' then
            select count(*), min(created_at) into found, requests_free_at from runs
            where runs.project_id = of_project and created_at > minute_ago;
        elsif kind = 'user' then
            select count(*), min(created_at) into found, requests_free_at from runs
            where runs.project_id = of_project and runs.user_id = of_subject and created_at > minute_ago;
        else
            select count(*), min(created_at) into found, requests_free_at from runs
            where runs.project_id = of_project and runs.key_id = of_subject and created_at > minute_ago;
        end if;
        requests_left := rule.requests_per_minute - found;
        requests_free_at := coalesce(requests_free_at, clock_timestamp()) + interval '1 minute';
    end if;
    select max(spent.period) into is_spent_for
    from (select period, sum(tokens) as tokens from token_usage
          where token_usage.project_id = of_project and token_usage.subject = of_subject
            and (period, starts_on) in (('day', today), ('month', date_trunc('month', today)::date))
          group by period
          union all values ('day', 0), ('month', 0)) spent
    where spent.tokens >= case spent.period when 'day' then rule.tokens_per_day else rule.tokens_per_month end;
    return next;
end
$$;

-- Which of these turns, in this order, may not open now. One with a limit that is reached is refused, with the time after
-- which to try again; one without must wait for its thread, which is busy or goes to an earlier turn of these, and is not
-- counted. A continued turn began before, so it is no request of this minute. Every lock is taken before the caller writes
-- its first row, in the order of their numbers, so nobody waits here who holds what another one here waits for.
create function admit_turns(
    ordinals bigint[], projects text[], users text[], keys text[], threads text[], is_continued boolean)
returns table (ordinal bigint, kind text, reached text, allowed bigint, retry_ms bigint)
language plpgsql volatile rows 1 as $$
declare
    turn record;
    subject record;
    standing jsonb;
    is_near boolean;
    claimed text[] := '{}';
begin
    if not exists (select from limits where limits.project_id = any (projects)) then
        return;
    end if;
    -- Tokens are counted when a turn ends, so that nothing is to be kept still for them.
    perform pg_advisory_xact_lock(numbered.lock)
    from (select distinct hashtextextended(asked.project_id || ' ' || named.subject, 0) as lock
          from unnest(projects, users, keys) asked (project_id, user_id, key_id)
          cross join lateral (values ('project', asked.project_id), ('user', asked.user_id), ('key', asked.key_id))
               named (kind, subject)
          where exists (select from limits where limits.project_id = asked.project_id
                        and limits.subject in (named.subject, 'each_' || named.kind)
                        and num_nonnulls(limits.requests_per_minute, limits.turns_concurrent) > 0)
          order by 1) numbered;
    select jsonb_object_agg(named.subject, to_jsonb(now_is) || jsonb_build_object(
               'requests_left', case when not is_continued then now_is.requests_left end)),
           bool_or(now_is.is_spent_for is not null or now_is.turns_left < named.turns
                   or not is_continued and now_is.requests_left < named.turns)
    into standing, is_near
    from (select asked.project_id, pair.kind, pair.subject, count(*) as turns
          from unnest(projects, users, keys) asked (project_id, user_id, key_id)
          cross join lateral (values ('project', asked.project_id), ('user', asked.user_id), ('key', asked.key_id))
               pair (kind, subject)
          where pair.subject is not null
          group by asked.project_id, pair.kind, pair.subject) named
    cross join lateral limits_now(named.project_id, named.kind, named.subject) now_is;
    -- Where all of these turns fit, none needs a look of its own.
    if is_near is not true then
        return;
    end if;
    for turn in
        select asked.* from unnest(ordinals, projects, users, keys, threads)
             asked (ordinal, project_id, user_id, key_id, thread_id)
        order by asked.ordinal
    loop
        ordinal := turn.ordinal;
        kind := null;
        reached := null;
        allowed := null;
        retry_ms := null;
        if turn.thread_id = any (claimed) or exists (
            select from runs where runs.project_id = turn.project_id and runs.thread_id = turn.thread_id
            and runs.status in ('queued', 'in_progress', 'requires_action', 'cancelling')) then
            return next;
            continue;
        end if;
        for subject in
            select named.kind, standing -> named.subject as now_is
            from (values (1, 'project', turn.project_id), (2, 'user', turn.user_id), (3, 'key', turn.key_id))
                 named (at, kind, subject)
            where standing ? named.subject order by named.at
        loop
            kind := subject.kind;
            if subject.now_is ->> 'is_spent_for' is not null then
                reached := 'tokens_per_' || (subject.now_is ->> 'is_spent_for');
                retry_ms := extract(epoch from (date_trunc(subject.now_is ->> 'is_spent_for',
                    clock_timestamp() at time zone 'UTC') + ('1 ' || (subject.now_is ->> 'is_spent_for'))::interval
                    - clock_timestamp() at time zone 'UTC')) * 1000;
            elsif (subject.now_is ->> 'requests_left')::bigint <= 0 then
                reached := 'requests_per_minute';
                retry_ms := extract(epoch from
                    (subject.now_is ->> 'requests_free_at')::timestamptz - clock_timestamp()) * 1000;
            elsif (subject.now_is ->> 'turns_left')::bigint <= 0 then
                reached := 'turns_concurrent';
                retry_ms := 1000;
            end if;
            exit when reached is not null;
        end loop;
        if reached is not null then
            allowed := (subject.now_is -> 'rule' ->> reached)::bigint;
            retry_ms := greatest(retry_ms, 1);
            return next;
            continue;
        end if;
        claimed := claimed || turn.thread_id;
        select coalesce(jsonb_object_agg(entry.key, case
                   when entry.key in (turn.project_id, turn.user_id, turn.key_id) then entry.value || jsonb_build_object(
                       'turns_left', (entry.value ->> 'turns_left')::bigint - 1,
                       'requests_left', (entry.value ->> 'requests_left')::bigint - 1)
                   else entry.value end), '{}')
        into standing from jsonb_each(standing) entry;
    end loop;
end
$$;
