-- wrk -t2 -c64 -d10s -s benches/wrk/tokens.lua http://127.0.0.1:8000 -- TOKENS_FILE 2
package.path = "benches/wrk/?.lua;" .. package.path
local common = require("common")

function init(args)
   common.take_turns(args, function(token)
      return wrk.format("GET", "/tokens/", { ["Authorization"] = token })
   end)
end
