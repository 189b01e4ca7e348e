import com.google.api.client.googleapis.auth.oauth2.GoogleIdToken;
import com.google.api.client.googleapis.auth.oauth2.GoogleIdTokenVerifier;
import com.google.api.client.http.javanet.NetHttpTransport;
import com.google.api.client.json.GenericJson;
import com.google.api.client.json.JsonFactory;
import com.google.api.client.json.gson.GsonFactory;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Asks google-api-client about tokens, as a service written in Java would. What it reads and
 * writes is what verify.py does.
 */
public class Verify {
  private static final NetHttpTransport TRANSPORT = new NetHttpTransport();
  private static final JsonFactory JSON = GsonFactory.getDefaultInstance();

  /** One verifier for each audience, since it belongs to the verifier and not to the call. */
  private static final Map<String, GoogleIdTokenVerifier> VERIFIERS = new TreeMap<>();

  public static void main(String[] args) throws Exception {
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, "UTF-8"));
    for (String line; (line = in.readLine()) != null; ) {
      GenericJson job = JSON.fromString(line, GenericJson.class);
      GenericJson answer = new GenericJson();
      answer.setFactory(JSON);
      try {
        GoogleIdToken token = verifier((String) job.get("audience")).verify((String) job.get("token"));
        if (token == null) {
          answer.set("refused", "verify returned null");
        } else {
          answer.set("claims", token.getPayload());
        }
      } catch (Exception refusal) {
        answer.set("refused", refusal.toString());
      }
      System.out.println(answer);
      System.out.flush();
    }
  }

  private static GoogleIdTokenVerifier verifier(String audience) {
    return VERIFIERS.computeIfAbsent(
        audience,
        a -> new GoogleIdTokenVerifier.Builder(TRANSPORT, JSON).setAudience(List.of(a)).build());
  }
}
