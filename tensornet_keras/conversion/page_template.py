"""The frame of a report page: styles and a script, nothing from elsewhere."""

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
:root { color-scheme: light; }
body { font: 14px/1.45 system-ui, sans-serif; margin: 2rem auto;
  max-width: 75rem; padding: 0 1rem; color: #1c2733; background: #fff; }
h1 { font-size: 1.5rem; margin-bottom: .2rem; }
h2 { font-size: 1.1rem; margin-top: 2rem; }
.lead { color: #52606d; margin-top: 0; }
table { border-collapse: collapse; width: 100%; }
th, td { padding: .3rem .6rem; text-align: left; vertical-align: top;
  border-bottom: 1px solid #e4e7eb; }
th { background: #f5f7fa; cursor: pointer; user-select: none;
  white-space: nowrap; }
th[aria-sort=ascending]::after { content: " \\25B2"; }
th[aria-sort=descending]::after { content: " \\25BC"; }
td.number, th.number { text-align: right;
  font-variant-numeric: tabular-nums; white-space: nowrap; }
tr.kept td { color: #7b8794; }
.wide { overflow-x: auto; }
.bar { display: inline-block; height: .7rem; border-radius: 2px; }
.before { background: #cbd2d9; }
.after { background: #2186eb; }
.error { background: #e8833a; }
.bars td { border: 0; padding: .1rem .6rem; }
.bars td.track { width: 60%; line-height: .8rem; }
.spectra { display: flex; flex-wrap: wrap; gap: 1rem; }
figure { margin: 0; }
figcaption { font-size: .8rem; color: #52606d; }
details { margin: .3rem 0; }
pre { background: #f5f7fa; padding: .6rem; overflow-x: auto;
  font-size: .8rem; }
</style>
</head>
<body>
<h1>$title</h1>
<p class="lead">$lead</p>
$sections
<script>
document.querySelectorAll("table.sortable").forEach(function (table) {
  table.querySelectorAll("th").forEach(function (head, column) {
    head.addEventListener("click", function () {
      var up = head.getAttribute("aria-sort") !== "ascending";
      table.querySelectorAll("th").forEach(function (other) {
        other.removeAttribute("aria-sort");
      });
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      var body = table.tBodies[0];
      var key = function (row) { return row.cells[column].dataset.key; };
      var number = head.classList.contains("number");
      Array.from(body.rows).sort(function (one, two) {
        var a = key(one), b = key(two);
        if (number && (a === "") !== (b === "")) { return a === "" ? 1 : -1; }
        var order = number ? a - b : a.localeCompare(b);
        return up ? order : -order;
      }).forEach(function (row) { body.appendChild(row); });
    });
  });
});
</script>
</body>
</html>
"""
