"""The database: engine and sessions, column types, migrations. Tables live with the packages that own them."""
