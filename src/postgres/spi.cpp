#include "postgres/spi.h"

#include "core/text.h"
#include "postgres/shared_queue.h"

namespace product_optimizer {

namespace {

void Prepare(Statement& statement) {
  if (statement.plan != nullptr) return;
  SPIPlanPtr const plan = SPI_prepare_cursor(statement.sql, statement.argument_count,
                                             statement.argument_types, statement.plan_options);
  if (plan == nullptr) elog(ERROR, "cannot prepare a statement: %s", SPI_result_code_string(SPI_result));
  SPI_keepplan(plan);
  statement.plan = plan;
}

std::uint64_t RowsOf(int code) {
  if (code < 0) elog(ERROR, "cannot execute a statement: %s", SPI_result_code_string(code));
  return SPI_processed;
}

/* Cheap enough for each value: two numbers are compared. */
void RequireType(Form_pg_attribute column, Oid type) {
  if (likely(column->atttypid == type)) return;
  ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
                  errmsg("column %s has type %s, not %s", NameStr(column->attname),
                         format_type_be(column->atttypid), format_type_be(type)),
                  errhint("Give the extension's column its type back.")));
}

void CopyText(Datum datum, std::string& value) {
  text* const stored = DatumGetTextPP(datum);
  value.assign(VARDATA_ANY(stored), static_cast<std::size_t>(VARSIZE_ANY_EXHDR(stored)));
  if (PointerGetDatum(stored) != datum) pfree(stored);
}

}  // namespace

std::uint64_t Execute(Statement& statement, const Arguments& arguments) {
  Prepare(statement);
  return RowsOf(
      SPI_execute_plan(statement.plan, const_cast<Datum*>(arguments.values), arguments.nulls, false, 0));
}

std::uint64_t Read(Statement& statement, const Arguments& arguments) {
  Prepare(statement);
  return RowsOf(
      SPI_execute_plan(statement.plan, const_cast<Datum*>(arguments.values), arguments.nulls, true, 0));
}

std::uint64_t ReadLatest(Statement& statement, const Arguments& arguments) {
  Prepare(statement);
  CommandCounterIncrement();
  Snapshot const snapshot = RegisterSnapshot(GetLatestSnapshot());
  const std::uint64_t rows =
      RowsOf(SPI_execute_snapshot(statement.plan, const_cast<Datum*>(arguments.values), arguments.nulls,
                                  snapshot, InvalidSnapshot, true, false, 0));
  UnregisterSnapshot(snapshot);
  return rows;
}

Datum Column(std::uint64_t row, int column, Oid type, bool* is_null) {
  TupleDesc const description = SPI_tuptable->tupdesc;
  if (column < 1 || column > description->natts) elog(ERROR, "a statement has no column %d", column);
  RequireType(TupleDescAttr(description, column - 1), type);
  return heap_getattr(SPI_tuptable->vals[row], column, description, is_null);
}

AttrNumber TableColumn(TupleDesc table, const char* name, Oid type) {
  const int column = SPI_fnumber(table, name);
  if (column <= 0)
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN), errmsg("a table of the queue has no column %s", name),
                    errhint("Give the extension's column its name back.")));
  RequireType(TupleDescAttr(table, column - 1), type);
  return static_cast<AttrNumber>(column);
}

void RefuseNullColumn(bool is_null, const char* name) {
  if (is_null)
    ereport(ERROR, (errcode(ERRCODE_NOT_NULL_VIOLATION), errmsg("column %s must not be null", name),
                    errhint("Give the extension's column its NOT NULL back.")));
}

bool BoolColumn(std::uint64_t row, int column) {
  bool is_null;
  const Datum value = Column(row, column, BOOLOID, &is_null);
  return !is_null && DatumGetBool(value);
}

std::int64_t Int64Column(std::uint64_t row, int column) {
  bool is_null;
  const Datum value = Column(row, column, INT8OID, &is_null);
  return is_null ? 0 : DatumGetInt64(value);
}

std::int32_t Int32Column(std::uint64_t row, int column) {
  bool is_null;
  const Datum value = Column(row, column, INT4OID, &is_null);
  return is_null ? 0 : DatumGetInt32(value);
}

std::int16_t Int16Column(std::uint64_t row, int column) {
  bool is_null;
  const Datum value = Column(row, column, INT2OID, &is_null);
  return is_null ? static_cast<std::int16_t>(0) : DatumGetInt16(value);
}

void ConvertToUtf8(std::string& value) {
  if (GetDatabaseEncoding() == PG_SQL_ASCII) {
    if (!IsValidUtf8(value)) value = SanitizeUtf8(value);
    return;
  }
  char* const converted = pg_server_to_any(value.data(), static_cast<int>(value.size()), PG_UTF8);
  if (converted == value.data()) return;
  value.assign(converted);
  pfree(converted);
}

bool IsWord(Datum datum, const char* word) {
  const text* const value = DatumGetTextPP(datum);
  const std::size_t length = VARSIZE_ANY_EXHDR(value);
  return length == strlen(word) && memcmp(VARDATA_ANY(value), word, length) == 0;
}

void TextFromDatum(Datum datum, std::string& value) {
  CopyText(datum, value);
  ConvertToUtf8(value);
}

bool TextColumn(std::uint64_t row, int column, std::string& value) {
  value.clear();
  bool is_null;
  const Datum datum = Column(row, column, TEXTOID, &is_null);
  if (is_null) return false;
  TextFromDatum(datum, value);
  return true;
}

void KeyFromDatum(Datum datum, std::string& value) {
  CopyText(datum, value);
  if (value.size() > static_cast<std::size_t>(kLongestInstanceBytes))
    ereport(ERROR, (errcode(ERRCODE_CHECK_VIOLATION), errmsg("an instance_id has %zu bytes", value.size()),
                    errhint("Give the extension's column its CHECK back: 1 to 255 characters.")));
}

bool KeyColumn(std::uint64_t row, int column, std::string& value) {
  value.clear();
  bool is_null;
  const Datum datum = Column(row, column, TEXTOID, &is_null);
  if (is_null) return false;
  KeyFromDatum(datum, value);
  return true;
}

Datum KeyDatum(std::string_view key) {
  return PointerGetDatum(cstring_to_text_with_len(key.data(), static_cast<int>(key.size())));
}

Datum TextDatum(std::string_view utf8) {
  const char* const converted = GetDatabaseEncoding() == PG_SQL_ASCII
                                    ? utf8.data()
                                    : pg_any_to_server(utf8.data(), static_cast<int>(utf8.size()), PG_UTF8);
  return PointerGetDatum(converted == utf8.data()
                             ? cstring_to_text_with_len(converted, static_cast<int>(utf8.size()))
                             : cstring_to_text(converted));
}

std::string InAnyEncoding(std::string utf8) {
  if (GetDatabaseEncoding() == PG_UTF8) return utf8;
  for (char& c : utf8)
    if (static_cast<unsigned char>(c) >= 0x80) c = '?';
  return utf8;
}

Datum JsonbDatum(std::string_view utf8) {
  /* A C string in the database's encoding is what jsonb_in reads. */
  char* const copy = pnstrdup(utf8.data(), utf8.size());
  return DirectFunctionCall1(jsonb_in,
                             CStringGetDatum(pg_any_to_server(copy, static_cast<int>(utf8.size()), PG_UTF8)));
}

Datum IntervalDatum(std::int64_t milliseconds) {
  auto* const interval = static_cast<Interval*>(palloc0(sizeof(Interval)));
  interval->time = milliseconds * 1000;
  return IntervalPGetDatum(interval);
}

DatumArray::DatumArray(std::size_t most) : values(static_cast<Datum*>(palloc((most + 1) * sizeof(Datum)))) {}

Datum DatumArray::Make(Oid type) const {
  std::int16_t length;
  bool by_value;
  char alignment;
  get_typlenbyvalalign(type, &length, &by_value, &alignment);
  return PointerGetDatum(construct_array(values, count, type, length, by_value, alignment));
}

}  // namespace product_optimizer
