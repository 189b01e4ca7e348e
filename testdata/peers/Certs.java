import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.HttpURLConnection;
import java.nio.charset.StandardCharsets;

/** Gets URLs with both of Java's clients, as they are, and prints the answers. */
class Certs {
	public static void main(String[] urls) throws Exception {
		System.out.println("our.own=" + System.getProperty("our.own"));
		for (String url : urls) {
			HttpURLConnection connection = (HttpURLConnection) URI.create(url).toURL().openConnection();
			System.out.println("HttpURLConnection " + connection.getResponseCode() + " " + connection.getContentType());
			System.out.println(new String(connection.getInputStream().readAllBytes(), StandardCharsets.UTF_8));
			HttpResponse<String> answer = HttpClient.newHttpClient().send(HttpRequest.newBuilder(URI.create(url)).build(), HttpResponse.BodyHandlers.ofString());
			System.out.println("HttpClient " + answer.statusCode() + " " + answer.version());
			System.out.println(answer.body());
		}
	}
}
