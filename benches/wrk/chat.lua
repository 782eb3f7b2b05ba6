-- wrk -t2 -c64 -d10s -s benches/wrk/chat.lua http://127.0.0.1:8000 -- TOKENS_FILE 2
package.path = "benches/wrk/?.lua;" .. package.path
local common = require("common")

function init(args)
   common.take_turns(args, function(token, number)
      local headers = { ["Authorization"] = token, ["Content-Type"] = "application/json" }
      local body = string.format('{"message":"Message number %05d"}', number)
      return wrk.format("POST", "/chat/", headers, body)
   end)
end
