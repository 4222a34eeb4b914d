-- Says that this replica lives, and renews the leases of the runs that it executes; answers those it still holds.
with alive as (
    insert into replicas (id, alive_until) values ($1, now() + $2::bigint * interval '1 millisecond')
    on conflict (id) do update set alive_until = excluded.alive_until
)
update runs set lease_until = now() + $2::bigint * interval '1 millisecond'
where lease_owner = $1 and id = any($3::text[]) and status in ('in_progress', 'cancelling')
returning id as "id: RunId"
