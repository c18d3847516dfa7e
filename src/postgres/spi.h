/*
 * spi.h
 *   Prepared statements over SPI and values across the border.  All of it raises: call it inside Call().
 */
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "postgres/prelude.h"

namespace product_optimizer {

constexpr int kMostArguments = 10;

/*
 * One statement, prepared at its first use and kept for the life of the process.  Names in it resolve by
 * search_path, which whoever runs it has pinned to the extension's schema.
 */
struct Statement {
  const char* sql;
  int argument_count = 0;
  Oid argument_types[kMostArguments] = {};
  int plan_options = CURSOR_OPT_GENERIC_PLAN; /* CURSOR_OPT_CUSTOM_PLAN: planned anew for its arguments */
  SPIPlanPtr plan = nullptr;
};

/* The arguments of one execution; null until set. */
struct Arguments {
  Datum values[kMostArguments] = {};
  char nulls[kMostArguments + 1] = {'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', '\0'};

  void Set(int index, Datum value) {
    values[index] = value;
    nulls[index] = ' ';
  }
};

/* Runs it with a fresh snapshot; returns SPI_processed.  An SPI failure raises. */
std::uint64_t Execute(Statement& statement, const Arguments& arguments);

/* The same for a statement that only reads, and sees what the calling query sees. */
std::uint64_t Read(Statement& statement, const Arguments& arguments);

/* The same for a statement that only reads, and sees what is committed by now also in a REPEATABLE READ or
 * SERIALIZABLE transaction. */
std::uint64_t ReadLatest(Statement& statement, const Arguments& arguments);

/*
 * Column (from 1) of a row of SPI_tuptable.  The owner of the tables may have given a column another type:
 * unless it has this one, here and below, 42804 is raised.
 */
Datum Column(std::uint64_t row, int column, Oid type, bool* is_null);
bool BoolColumn(std::uint64_t row, int column);          /* null reads as false */
std::int64_t Int64Column(std::uint64_t row, int column); /* null reads as 0, here and below */
std::int32_t Int32Column(std::uint64_t row, int column);
std::int16_t Int16Column(std::uint64_t row, int column);

/* The number of a table's column; raises 42703 when there is none of this name, 42804 when it has another
 * type. */
AttrNumber TableColumn(TupleDesc table, const char* name, Oid type);

/* Raises 23502 for what a NOT NULL of the column, now dropped, has kept out. */
void RefuseNullColumn(bool is_null, const char* name);

/* A text in valid UTF-8, into a string that lives above the guard. */
void TextFromDatum(Datum datum, std::string& value);
bool TextColumn(std::uint64_t row, int column, std::string& value); /* false and "" when null */

/* Whether a text is this one, which is ASCII. */
bool IsWord(Datum datum, const char* word);

/* From the database's encoding to valid UTF-8, in place. */
void ConvertToUtf8(std::string& value);

/*
 * The name of a store, which is only compared and written back: byte by byte as the database has it, for not
 * every text of every encoding has a form in UTF-8.  Raises 23514 for one that is longer than its CHECK
 * allows: shared memory would not hold it.
 */
bool KeyColumn(std::uint64_t row, int column, std::string& value); /* false and "" when null */
void KeyFromDatum(Datum datum, std::string& value);                /* of a text; leaves no memory behind */
Datum KeyDatum(std::string_view key);

/* UTF-8 text as a text datum in the database's encoding; raises 22P05 when it has no such character. */
Datum TextDatum(std::string_view utf8);

/* What every encoding can say: in a database that is not UTF-8, what is not ASCII becomes question marks. */
std::string InAnyEncoding(std::string utf8);

/* UTF-8 JSON text as a jsonb datum; raises when jsonb cannot hold it. */
Datum JsonbDatum(std::string_view utf8);

/* Milliseconds as an interval datum. */
Datum IntervalDatum(std::int64_t milliseconds);

/* An array in the making, of so many values at most. */
struct DatumArray {
  explicit DatumArray(std::size_t most);
  void Add(Datum value) { values[count++] = value; }
  Datum Make(Oid type) const;

  Datum* values;
  int count = 0;
};

}  // namespace product_optimizer
