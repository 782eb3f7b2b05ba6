-- Shared by chat.lua and tokens.lua. Arguments after the URL: the file of auth tokens, the number
-- of threads. Each wrk thread has its own users and takes them in turn, so that no two threads wait
-- for one user.
local common = {}

local threads = 0

function setup(thread)
   thread:set("thread_number", threads)
   threads = threads + 1
end

-- Builds all requests before the load, because wrk shares the cores with the server.
function common.take_turns(args, make_request)
   local file, thread_count = args[1], tonumber(args[2])
   local requests, line_number = {}, 0
   for token in io.lines(file) do
      if line_number % thread_count == thread_number then
         requests[#requests + 1] = make_request(token, line_number)
      end
      line_number = line_number + 1
   end
   assert(#requests > 0, "no auth tokens in " .. file)
   local next_request = 0
   request = function()
      next_request = next_request % #requests + 1
      return requests[next_request]
   end
end

-- Prints `name value unit` lines for scripts/bench. Whatever is not a response with a status below
-- 400 is an error.
function done(summary, latency, requests)
   local errors = summary.errors
   local failed = errors.status + errors.connect + errors.read + errors.write + errors.timeout
   print(string.format("wrk_rate %.0f requests/s", (summary.requests - errors.status) / summary.duration * 1e6))
   print(string.format("wrk_errors %d requests", failed))
   print(string.format("wrk_p50 %.3f ms", latency:percentile(50) / 1000))
   print(string.format("wrk_p99 %.3f ms", latency:percentile(99) / 1000))
end

return common
