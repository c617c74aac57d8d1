// CloudNativePG's operator, which runs PostgreSQL.
module troth.dev/cloudnativepg

go 1.26.0

require github.com/cloudnative-pg/cloudnative-pg v1.28.1
