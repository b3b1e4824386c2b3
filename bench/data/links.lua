-- Draws requests from a prepared file (path and headers, tab-separated) and prints what was measured as
-- one line of JSON.

local requests = {}
local drawn = 0

function init(args)
  for line in io.lines(args[1]) do
    local path, rest = line:match("^([^\t]*)(.*)$")
    local headers = {}
    for name, value in rest:gmatch("\t([^:]+): ([^\t]*)") do
      headers[name] = value
    end
    requests[#requests + 1] = wrk.format("GET", path, headers)
  end
end

function request()
  drawn = drawn % #requests + 1
  return requests[drawn]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    'measured {"requests":%d,"micros":%d,"p50_us":%d,"p99_us":%d,"errors":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
