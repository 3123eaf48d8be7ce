import { expect, test } from "bun:test"
import { Database } from "../../src/store/db/driver.ts"

const db = new Database(":memory:")
db.exec(`
  create table people (id integer primary key, city integer, name text);
  create table cities (id integer primary key, name text);
  insert into cities values (1, 'Oslo');
  insert into people values (7, 1, 'Ada'), (8, 1, '9');
`)

/** The time of the shortest of many runs, in ms. Pauses of the machine only make the other runs longer. */
function shortest(run: (n: number) => void): number {
  let least = Number.POSITIVE_INFINITY
  for (let n = 0; n < 300; n++) {
    const start = performance.now()
    run(n)
    least = Math.min(least, performance.now() - start)
  }
  return least
}

test.each([
  ["a join", "select p.name from people p join cities c on c.id = p.city where p.id = :n"],
  ["a limit", "select p.name from people p join cities c on c.id = p.city order by p.name limit :n"],
])("SQLite does not compile %s again for each value that is bound", (_, sql) => {
  // Long enough that compiling it takes many times as long as running it.
  const long = sql.replace("p.name", `p.name${", p.name || c.name".repeat(100)}`)
  const statement = db.prepare(long)
  const compiling = shortest(() => db.prepare(long))
  expect(shortest((n) => statement.get({ n: -1 - n }))).toBeLessThan(compiling / 4)
})

test.each([
  ["an integer", "select name from people where id = :value", 7, "Ada"],
  ["a text that looks like a number", "select name from people where name = :value", "9", "9"],
  ["a bigint", "select name from people where id=:value", 8n, "9"],
  ["a limit", "select name from people order by id limit :value", 1, "Ada"],
])("a parameter keeps its value and type: %s", (_, sql, value, expected) => {
  expect(db.prepare(sql).pluck().get({ value })).toBe(expected)
})
