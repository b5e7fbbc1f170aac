"""sqlglot: recursive descent in pure Python; the trees and the translations are kept."""

import sqlglot

QUERY = """
select l_returnflag, l_linestatus, sum(l_quantity) as sum_qty,
       sum(l_extendedprice*(1-l_discount)*(1+l_tax)) as sum_charge,
       avg(l_quantity) as avg_qty, count(*) as c
from lineitem join orders on l_orderkey=o_orderkey
where l_shipdate <= date '1998-12-01' - interval '%d' day
  and exists(select 1 from part where p_partkey=l_partkey and p_size in (1,2,3,4,5))
group by l_returnflag, l_linestatus having sum(l_quantity) > 100 order by 1, 2 limit 100
"""
trees, texts = [], []
for day in range(4):
    trees.append(sqlglot.parse_one(QUERY % day, read="duckdb"))
    for dialect in ("spark", "snowflake"):
        texts.append(trees[-1].sql(dialect, pretty=True))
assert len(texts) == 8 and all("GROUP BY" in text for text in texts)
