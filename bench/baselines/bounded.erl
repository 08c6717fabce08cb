%% One process tells another on the other scheduler, at most 1,024 messages under way: what a bounded mailbox gives.
%% A message is a tuple with a number and a heap binary of 64 bytes, which is copied. Prints messages a second.
-module(bounded).
-export([main/1]).

-define(WINDOW, 1024).

main([Text]) ->
    N = list_to_integer(Text),
    _ = round_of(N div 4),
    io:format("~w~n", [round_of(N)]),
    halt(0).

round_of(N) ->
    Me = self(),
    Message = {tick, 42, binary:copy(<<7>>, 64)},
    Sender = spawn_opt(fun() -> receive {to, R} -> send(R, N, Message, ?WINDOW) end end,
                       [{scheduler, 1}, link]),
    Began = erlang:monotonic_time(nanosecond),
    Half = ?WINDOW div 2,
    Receiver = spawn_opt(fun() -> take(Sender, N, Half, Half), Me ! {done, erlang:monotonic_time(nanosecond)} end,
                         [{scheduler, 2}, link]),
    Sender ! {to, Receiver},
    receive {done, Ended} -> round(N * 1.0e9 / (Ended - Began)) end.

send(_, 0, _, _) -> ok;
send(R, N, M, 0) -> receive {credit, K} -> send(R, N, M, K) end;
send(R, N, M, C) -> R ! M, send(R, N - 1, M, C - 1).

take(_, 0, _, _) -> ok;
take(S, N, 0, K) -> S ! {credit, K}, take(S, N, K, K);
take(S, N, C, K) -> receive {tick, _, _} -> take(S, N - 1, C - 1, K) end.
