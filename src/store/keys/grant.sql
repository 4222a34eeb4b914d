-- What a key opens while neither it, nor its user, nor its project is revoked (an administrator, who opens projects again, is
-- not locked in with one); notes lazily that it is used.
with found as (
    select keys.id, keys.project_id, keys.user_id, keys.role, keys.last_used_at, keys.expires_at
    from api_keys keys
    join projects on projects.id = keys.project_id
    left join users on users.id = keys.user_id
    where keys.secret_sha256 = $1 and keys.revoked_at is null and (keys.expires_at is null or keys.expires_at > now())
      and (projects.revoked_at is null or keys.role = 'admin') and users.revoked_at is null
), used as (
    update api_keys set last_used_at = now()
    from found
    where api_keys.id = found.id
      and (found.last_used_at is null or found.last_used_at < now() - interval '1 minute')
)
select id as "key_id!: KeyId", project_id as "project_id!: ProjectId", user_id as "user_id?: UserId", role as "role!", expires_at
from found
