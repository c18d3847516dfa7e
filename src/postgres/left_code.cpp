#include "postgres/left_code.h"

#include "postgres/access_levels.h"
#include "postgres/spi.h"

namespace product_optimizer {

namespace {

constexpr std::uint64_t kMostNamed = 10;

/*
 * A tableoid is the catalog that the object is in.  PostgreSQL's own functions and types are not in
 * pg_depend, so what an object of ours may depend on is the extension, the tables and their indexes; a policy
 * for one role is one of grant_optimizer(), as DropPolicies() has it.
 *
 * Of PostgreSQL's own functions some run the SQL that they are given, such as query_to_xml(): in an
 * expression only immutable ones may stay, and a few others.  What a foreign key of another table changes
 * there fires that table's triggers with the rights of whoever changed ours.
 */
Statement find_left = {
    "WITH t AS MATERIALIZED ("
    "  SELECT c.tableoid AS class, c.oid, c.relacl AS acl FROM pg_catalog.pg_class c"
    "   WHERE c.relnamespace OPERATOR(pg_catalog.=) $1 AND c.relname OPERATOR(pg_catalog.=) ANY ($2)"
    "), member AS MATERIALIZED ("
    "  SELECT d.classid, d.objid FROM pg_catalog.pg_depend d"
    "    JOIN pg_catalog.pg_extension e ON e.oid OPERATOR(pg_catalog.=) d.refobjid"
    "                                  AND e.tableoid OPERATOR(pg_catalog.=) d.refclassid"
    "   WHERE e.extname OPERATOR(pg_catalog.=) 'product_optimizer'"
    "     AND d.deptype OPERATOR(pg_catalog.=) 'e'::\"char\""
    "), stranger AS MATERIALIZED ("
    "  SELECT r.oid, r.rolname::pg_catalog.text AS name FROM pg_catalog.pg_roles r"
    "   WHERE r.oid OPERATOR(pg_catalog.<>) $3 AND NOT r.rolsuper"
    "  UNION ALL SELECT 0::pg_catalog.oid, 'PUBLIC'"
    "), carried(class, oid, allowed, tree) AS ("
    "  SELECT t.class, t.oid, (t.class, t.oid) IN (SELECT m.classid, m.objid FROM member m), NULL FROM t"
    "  UNION ALL SELECT t.class, i.indexrelid, true, pg_catalog.concat(i.indexprs, i.indpred)"
    "              FROM pg_catalog.pg_index i JOIN t ON t.oid OPERATOR(pg_catalog.=) i.indrelid"
    "  UNION ALL SELECT k.tableoid, k.oid, true, k.conbin::pg_catalog.text FROM pg_catalog.pg_constraint k"
    "              JOIN t ON t.oid OPERATOR(pg_catalog.=) k.conrelid"
    "  UNION ALL SELECT k.tableoid, k.oid, false, NULL FROM pg_catalog.pg_constraint k"
    "              JOIN t ON t.oid OPERATOR(pg_catalog.=) k.confrelid"
    "              JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) k.conrelid"
    "              JOIN stranger s ON s.oid OPERATOR(pg_catalog.=) c.relowner"
    "             WHERE k.confdeltype OPERATOR(pg_catalog.<>) ALL ('{a, r}'::\"char\"[])"
    "                OR k.confupdtype OPERATOR(pg_catalog.<>) ALL ('{a, r}'::\"char\"[])"
    "  UNION ALL SELECT a.tableoid, a.oid, true, a.adbin::pg_catalog.text FROM pg_catalog.pg_attrdef a"
    "              JOIN t ON t.oid OPERATOR(pg_catalog.=) a.adrelid"
    "  UNION ALL SELECT g.tableoid, g.oid, true, g.tgqual::pg_catalog.text FROM pg_catalog.pg_trigger g"
    "              JOIN t ON t.oid OPERATOR(pg_catalog.=) g.tgrelid"
    "  UNION ALL SELECT s.tableoid, s.oid, true, s.stxexprs::pg_catalog.text"
    "              FROM pg_catalog.pg_statistic_ext s JOIN t ON t.oid OPERATOR(pg_catalog.=) s.stxrelid"
    "  UNION ALL SELECT p.tableoid, p.oid,"
    "                   pg_catalog.cardinality(p.polroles) OPERATOR(pg_catalog.=) 1"
    "                   AND p.polroles OPERATOR(pg_catalog.<>) '{0}'::pg_catalog.oid[],"
    "                   pg_catalog.concat(p.polqual, p.polwithcheck)"
    "              FROM pg_catalog.pg_policy p JOIN t ON t.oid OPERATOR(pg_catalog.=) p.polrelid"
    "  UNION ALL SELECT r.tableoid, r.oid, false, NULL FROM pg_catalog.pg_rewrite r"
    "              JOIN t ON t.oid OPERATOR(pg_catalog.=) r.ev_class"
    "  UNION ALL SELECT t.class, h.inhrelid, false, NULL FROM pg_catalog.pg_inherits h"
    "              JOIN t ON t.oid OPERATOR(pg_catalog.=) h.inhparent"
    "  UNION ALL SELECT t.class, h.inhparent, false, NULL FROM pg_catalog.pg_inherits h"
    "              JOIN t ON t.oid OPERATOR(pg_catalog.=) h.inhrelid"
    "), granted(class, oid, part, acl) AS ("
    "  SELECT t.class, t.oid, 0, t.acl FROM t"
    "  UNION ALL SELECT t.class, t.oid, a.attnum::pg_catalog.int4, a.attacl FROM t"
    "              JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) t.oid"
    ") SELECT DISTINCT pg_catalog.pg_describe_object(x.class, x.oid, 0) FROM carried x"
    "   WHERE NOT x.allowed OR EXISTS ("
    "         SELECT FROM pg_catalog.pg_depend d"
    "           JOIN pg_catalog.pg_class k ON k.oid OPERATOR(pg_catalog.=) d.refclassid"
    "          WHERE d.classid OPERATOR(pg_catalog.=) x.class AND d.objid OPERATOR(pg_catalog.=) x.oid"
    "            AND k.relname OPERATOR(pg_catalog.=) ANY ('{pg_proc, pg_operator, pg_opclass, pg_opfamily,"
    "                pg_type, pg_class, pg_ts_config}'::pg_catalog.name[])"
    "            AND (d.refclassid, d.refobjid) NOT IN (SELECT m.classid, m.objid FROM member m)"
    "            AND (d.refclassid, d.refobjid) NOT IN ("
    "                SELECT o.class, o.oid FROM carried o WHERE o.allowed))"
    "      OR EXISTS ("
    "         SELECT FROM pg_catalog.regexp_matches(x.tree, ':funcid ([0-9]+)', 'g') f(id)"
    "           JOIN pg_catalog.pg_proc p ON p.oid OPERATOR(pg_catalog.=) f.id[1]::pg_catalog.oid"
    "          WHERE p.provolatile OPERATOR(pg_catalog.<>) 'i'::\"char\""
    "            AND p.proname OPERATOR(pg_catalog.<>) ALL ('{now, clock_timestamp, statement_timestamp,"
    "                gen_random_uuid, pg_column_size, pg_column_compression}'::pg_catalog.name[]))"
    "  UNION SELECT pg_catalog.format('%s for %s on %s', e.privilege_type, s.name,"
    "                                 pg_catalog.pg_describe_object(g.class, g.oid, g.part))"
    "          FROM granted g, pg_catalog.aclexplode(g.acl) e, stranger s"
    "         WHERE s.oid OPERATOR(pg_catalog.=) e.grantee"
    "           AND e.privilege_type OPERATOR(pg_catalog.=) ANY ('{TRIGGER, REFERENCES}'::pg_catalog.text[])"
    "   ORDER BY 1",
    3,
    {OIDOID, NAMEARRAYOID, OIDOID}};

Datum TableNames() {
  constexpr int kCount = sizeof kTables / sizeof kTables[0];
  Datum names[kCount];
  for (int i = 0; i < kCount; i++) names[i] = DirectFunctionCall1(namein, CStringGetDatum(kTables[i]));
  return PointerGetDatum(construct_array(names, kCount, NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR));
}

}  // namespace

void RefuseLeftCode(Oid schema, Oid old_owner, Oid new_owner) {
  Arguments arguments;
  arguments.Set(0, ObjectIdGetDatum(schema));
  arguments.Set(1, TableNames());
  arguments.Set(2, ObjectIdGetDatum(new_owner));
  const std::uint64_t count = ReadLatest(find_left, arguments);
  if (count == 0) return;
  StringInfoData list;
  initStringInfo(&list);
  for (std::uint64_t row = 0; row < count && row < kMostNamed; row++)
    appendStringInfo(&list, "%s%s", row > 0 ? ", " : "",
                     SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, 1));
  if (count > kMostNamed) appendStringInfo(&list, " and %d more", static_cast<int>(count - kMostNamed));
  ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                  errmsg("what role %s left on the queue could run with the rights of %s",
                         GetUserNameFromId(old_owner, false), GetUserNameFromId(new_owner, false)),
                  errdetail("Left are: %s.", list.data),
                  errhint("Drop or revoke it first, and create again as %s what you trust.",
                          GetUserNameFromId(new_owner, false))));
}

}  // namespace product_optimizer
