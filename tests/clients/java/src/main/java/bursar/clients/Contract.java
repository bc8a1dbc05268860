package bursar.clients;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashSet;
import java.util.Set;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;

/** What every client program of the matrix has in common: its arguments and its one line per token. */
final class Contract {
    /** What the command line asks for: CREDENTIAL SELECTOR VALUE RESOURCE [twice]. */
    record Request(String credential, String selector, String value, String resource, boolean twice) {
        UnsupportedOperationException unknown() {
            return new UnsupportedOperationException(
                credential + " with " + selector + ": this client has no such thing");
        }
    }

    record Token(String token, long expiresOn) {
    }

    /** Asks one and the same credential object for a token. */
    interface Get {
        Token get() throws Exception;
    }

    interface Connect {
        Get connect(Request request) throws Exception;
    }

    private static final PrintStream OUT = new PrintStream(System.out, true, StandardCharsets.UTF_8);

    private Contract() {
    }

    /**
     * Makes a credential for the request and prints one line for each token that it is asked for. What the SDK refuses is
     * an outcome, and so a line as well; only wrong arguments are a failure. SDKs leave threads behind, hence the exit.
     */
    static void run(String[] args, Connect connect) throws IOException {
        Request request = parse(args);
        if (request == null) {
            System.err.println("usage: CREDENTIAL none|client_id|object_id|resource_id VALUE RESOURCE [twice]");
            System.exit(64);
        }
        Get get = connected(request, connect);
        OUT.println(line(get));
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        if (request.twice() && in.readLine() != null) {
            OUT.println(line(get));
        }
        System.exit(0);
    }

    private static Request parse(String[] args) {
        boolean twice = args.length == 5 && args[4].equals("twice");
        return args.length == 4 || twice ? new Request(args[0], args[1], args[2], args[3], twice) : null;
    }

    private static Get connected(Request request, Connect connect) {
        try {
            return connect.connect(request);
        } catch (Exception error) {
            return () -> {
                throw error;
            };
        }
    }

    private static String line(Get get) {
        try {
            Token token = get.get();
            return "{\"token\": " + quoted(token.token()) + ", \"expires_on\": " + token.expiresOn() + "}";
        } catch (Exception error) {
            return "{\"error\": " + quoted(text(error)) + "}";
        }
    }

    /** The messages of an error and of its causes, each said once, on one line. */
    private static String text(Throwable error) {
        Set<String> messages = new LinkedHashSet<>();
        for (Throwable cause = error; cause != null; cause = cause.getCause()) {
            boolean wrapper = cause instanceof ExecutionException || cause instanceof CompletionException;
            if (!wrapper || cause.getCause() == null) {
                messages.add(cause.getMessage() == null ? cause.getClass().getName() : cause.getMessage());
            }
        }
        return String.join(": ", messages).replaceAll("\\s+", " ").strip();
    }

    private static String quoted(String text) {
        StringBuilder json = new StringBuilder("\"");
        for (char c : text.toCharArray()) {
            json.append(c == '"' || c == '\\' ? "\\" + c : c < ' ' ? String.format("\\u%04x", (int) c) : String.valueOf(c));
        }
        return json.append('"').toString();
    }
}
