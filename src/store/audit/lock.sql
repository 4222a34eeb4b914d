-- Makes the caller the one sealer until its transaction ends, if need be after the one before. No row is locked, so that a
-- pass that finds nothing writes nothing.
select set_config('jit', 'off', true) is not null
       and case when $1 then pg_advisory_xact_lock(hashtextextended('audit sealer', 0)) is not null
                else pg_try_advisory_xact_lock(hashtextextended('audit sealer', 0)) end as "is_ours!"
