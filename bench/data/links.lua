-- Draws requests from a file prepared by the generator (path, user agent and referrer, tab-separated)
-- and prints what was measured as one line of JSON.

local requests = {}
local drawn = 0

function init(args)
  for line in io.lines(args[1]) do
    local path, agent, referrer = line:match("^([^\t]*)\t([^\t]*)\t([^\t]*)$")
    local headers = { ["User-Agent"] = agent }
    if referrer ~= "" then
      headers["Referer"] = referrer
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
